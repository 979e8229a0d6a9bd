"""CLIP's byte-pair tokens for plain prompts. The merges come from the open_clip package's file."""
import functools
import gzip
import importlib.util
import pathlib
import re

START, END, LENGTH = 49406, 49407, 77
PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)|[a-z]+|[0-9]|[^\sa-z0-9]+")


@functools.cache
def tables():
    package = pathlib.Path(importlib.util.find_spec("open_clip").origin).parent
    lines = gzip.open(package / "bpe_simple_vocab_16e6.txt.gz", "rt", encoding="utf-8").read().split("\n")
    merges = [tuple(line.split()) for line in lines[1:49152 - 256 - 2 + 1]]
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letter = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letter:
            letter[byte] = chr(256 + len(letter) - len(plain))
    symbols = list(letter.values())
    words = symbols + [s + "</w>" for s in symbols] + ["".join(m) for m in merges]
    return letter, {m: k for k, m in enumerate(merges)}, {w: k for k, w in enumerate(words)}


@functools.cache
def word_ids(word):
    letter, rank, ids = tables()
    parts = [letter[byte] for byte in word.encode()]
    parts[-1] += "</w>"
    while len(parts) > 1:
        best = min(range(len(parts) - 1), key=lambda i: rank.get((parts[i], parts[i + 1]), 1 << 30))
        if (parts[best], parts[best + 1]) not in rank:
            break
        parts[best:best + 2] = [parts[best] + parts[best + 1]]
    return [ids[p] for p in parts]


def pieces(text):
    return [i for word in PIECES.findall(text.lower()) for i in word_ids(word)]


def tokens(text):
    """77 ids: start, the text, end to the end."""
    ids = pieces(text)[:LENGTH - 2]
    return [START] + ids + [END] * (LENGTH - 1 - len(ids))
