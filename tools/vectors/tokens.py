"""Token ids of 10,000 strings, from the slow CLIPTokenizer of transformers with ftfy.

    python tools/vectors/tokens.py host/prompt/vocab/bpe_merges.txt tests/vectors/prompt/tokens.gz

Needs transformers==4.25.1, ftfy, regex. The tokenizer is built from the merges; its text repair is
ftfy.fix_text without mojibake decoding (fix_encoding=False), and the script prints how many strings
mojibake decoding would have changed. Format, before gzip, little endian: u32 count, then for each
string u32 bytes, the bytes, u32 ids, the ids as u16.
"""

import gzip
import html.entities
import json
import os
import platform
import random
import struct
import sys
import tempfile

import ftfy
import regex
import transformers
from transformers import CLIPTokenizer

COUNT = 10000


def alphabet():
    own = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [256 + i for i in range(256 - len(own))]
    return [chr(c) for c in own + others]


def tokenizer(merges_path, mojibake):
    merges = open(merges_path, encoding="utf-8").read().rstrip("\n").split("\n")
    names = alphabet()
    names += [name + "</w>" for name in names]
    names += ["".join(row.split()) for row in merges] + ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(names)) == 49408
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "vocab.json"), "w") as file:
            json.dump({name: i for i, name in enumerate(names)}, file)
        with open(os.path.join(folder, "merges.txt"), "w") as file:
            file.write("#version: 0.2\n" + "\n".join(merges) + "\n")
        with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
            special = {"__type": "AddedToken", "single_word": False, "lstrip": False,
                       "rstrip": False, "normalized": True}
            json.dump({"tokenizer_class": "CLIPTokenizer", "do_lower_case": True,
                       "bos_token": {**special, "content": "<|startoftext|>"},
                       "eos_token": {**special, "content": "<|endoftext|>"},
                       "unk_token": {**special, "content": "<|endoftext|>"},
                       "pad_token": "<|endoftext|>", "model_max_length": 77}, file)
        made = CLIPTokenizer.from_pretrained(folder)
    if not mojibake:
        config = ftfy.TextFixerConfig(explain=False, fix_encoding=False)
        made.fix_text = lambda text: ftfy.fix_text(text, config)
    return made


# ---- strings -----------------------------------------------------------------------------------

WORDS = """hatsune miku masterpiece best quality 1girl solo twintails aqua hair looking at viewer
lowres bad anatomy extra digits cropped worst jpeg artifacts signature watermark blurry detailed
EasyNegative bad-hands-5 ulzzang-6500-v1.1 greg rutkowski artstation octane render 8k uhd dslr
it's we're they've I'll I'd I'm don't can't o'clock rock'n'roll y'all's 'tis CAPITALS MiXeD
photo-realistic (masterpiece:1.2) [bad] {{{best}}} under_score C++ F# 3.14 1,000,000 24/7 50% #tag
@home user@example.com https://example.com/a?b=c&d=e ~/.config C:\\Users --flag $100 ^_^ :-) <3 ->
naïve café façade jalapeño über straße ﬁne ﬂow Ĳssel ŉ Ǆ Ǳ œuvre ÆON Ørsted İstanbul ılık
ΣΊΣΥΦΟΣ ΟΔΟΣ Ὀδυσσεύς ΑΣ Σ ΣΑ Σ. Σ'Α привет мир ёж Їжак שלום עולם مرحبا ٣٤٥ हिन्दी नमस्ते ไทย ১২৩
初音ミク 初音未来 ﾊﾂﾈﾐｸ ＨＡＴＳＵＮＥ　ＭＩＫＵ １２３ 하츠네 미쿠 가각 ㈱ ① Ⅳ ½ ² ªº ™ ® © ℃ Å Ω K ſ 'ſ
👩‍🎤 💙 🎤 👍🏽 🇯🇵 ❤️ ☃ ★彡 ♪♫ ✨ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 “curly” ‘single’ „low‟ « » … — – ‐ ‑ ﹏ ￥ ￣ ･ ｡ ﾞ ﾟ ﾡ ￢
&amp; &lt;b&gt; &amp;amp; &amp;lt; &eacute; &EACUTE; &hearts; &nbsp; &#39; &#x27; &#x1F600; &#128; &#0;
&#xD800; &#59; &#99999999999; &notanentity; &amp &; &#; &#x; &bne; &semi; &AMP; &SZLIG; &NotEqualTilde;
<|startoftext|> <|endoftext|> <|ENDOFTEXT|> <|EndOfText|> <|startoftext <|endoftext|>s <|<|endoftext|>
ＢＲＥＡＫ BREAK AND \\( \\) \\[ \\] \\\\ !!! ??? ... ;;; ,,, ((())) [[]] || !' 's 't 've 'LL 'S""".split()

CONTROLS = ["\x00", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x0e", "\x1b", "\x1b[31m", "\x1b[0;1m",
            "\x1b[1;", "\x1f", "\x7f", "\x80", "\x85", "\x92", "\x93", "\x9f", "\xa0", "\xad", "\u200b",
            "\u200d", "\u200e", "\u2028", "\u2029", "\u202f", "\u205f", "\u2060", "\u206a", "\u206f",
            "\u3000", "\u1680", "\u180e", "\ufeff", "\ufff9", "\ufffc", "\ufffd", "\ufffe", "\uffff",
            "\t", "\n", "\r", "\r\n", "\n\r", "  ", " \t ", "\U0001d173", "\U000e0041", "\U0010ffff"]
SPACES = [" ", " ", " ", " ", ", ", ",", "  ", "\n", "\t", "", "", "\u3000", "-", "_", ".", "'"]
MARKS = [chr(c) for c in (0x300, 0x301, 0x308, 0x30a, 0x323, 0x327, 0x328, 0x345, 0x5b0, 0x651, 0x64b,
                          0x93c, 0xe38, 0x3099, 0x309a, 0x302a, 0x1dce, 0x20d0, 0x0338, 0x1161, 0x11a8)]
BLOCKS = [(0x20, 0x7e), (0xa0, 0x17f), (0x180, 0x24f), (0x250, 0x2ff), (0x370, 0x3ff), (0x400, 0x52f),
          (0x530, 0x5ff), (0x600, 0x6ff), (0x900, 0xdff), (0xe00, 0xfff), (0x1000, 0x13ff),
          (0x1e00, 0x1fff), (0x2000, 0x206f), (0x2070, 0x218f), (0x2190, 0x2bff), (0x2c00, 0x2dff),
          (0x3000, 0x30ff), (0x3130, 0x33ff), (0x4e00, 0x9fff), (0xa640, 0xa7ff), (0xab30, 0xabff),
          (0xac00, 0xd7a3), (0xf900, 0xfaff), (0xfb00, 0xfb4f), (0xfe10, 0xfe6f), (0xff00, 0xffef),
          (0x10000, 0x107bf), (0x10c80, 0x10cff), (0x118a0, 0x118df), (0x16e40, 0x16e9f),
          (0x1d000, 0x1d7ff), (0x1e900, 0x1e95f), (0x1f100, 0x1f1ff), (0x1f300, 0x1faff),
          (0x20000, 0x323af), (0, 0x10ffff)]
ENTITIES = [name for name in html.entities.html5 if name.endswith(";")]


def character(rng):
    first, last = rng.choice(BLOCKS)
    while True:
        c = rng.randint(first, last)
        if not 0xD800 <= c < 0xE000:
            return chr(c)


def atom(rng):
    kind = rng.random()
    if kind < 0.45:
        word = rng.choice(WORDS)
        how = rng.random()
        return word.upper() if how < 0.1 else word.title() if how < 0.15 else word
    if kind < 0.55:
        return rng.choice(CONTROLS)
    if kind < 0.75:
        return "".join(character(rng) for _ in range(rng.randint(1, 4)))
    if kind < 0.83:
        return character(rng) + "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 4)))
    if kind < 0.88:
        name = rng.choice(ENTITIES)
        how = rng.random()
        return "&" + (name.upper() if how < 0.2 else name[:-1] if how < 0.3 else name)
    if kind < 0.92:
        n = rng.choice([rng.randint(0, 0x2ff), rng.randint(0, 0x110010)])
        return rng.choice([f"&#{n};", f"&#x{n:x};", f"&#X{n:X};"])
    if kind < 0.96:
        return "".join(rng.choice("'\"`´’‘.,:;!?-_+*/\\|<>(){}[]@#$%^&~=") for _ in range(rng.randint(1, 6)))
    return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randint(1, 24)))


def strings():
    rng = random.Random(20230501)
    out = list(dict.fromkeys(WORDS + CONTROLS + ["", " ", "a" * 300, "é" * 100, "！" * 50]))
    out += [f"&{name}" for name in rng.sample(ENTITIES, 300)]
    while len(out) < COUNT:
        n = min(1 + int(rng.expovariate(0.25)), 24)
        out.append("".join(atom(rng) + rng.choice(SPACES) for _ in range(n)))
    return out[:COUNT]


def main():
    merges, path = sys.argv[1:]
    slow, full = tokenizer(merges, False), tokenizer(merges, True)
    texts = strings()
    blob = [struct.pack("<I", len(texts))]
    changed = 0
    for text in texts:
        ids = slow(text, add_special_tokens=False)["input_ids"]
        changed += ids != full(text, add_special_tokens=False)["input_ids"]
        raw = text.encode("utf-8")
        blob += [struct.pack("<I", len(raw)), raw, struct.pack(f"<I{len(ids)}H", len(ids), *ids)]
    with open(path, "wb") as file:
        file.write(gzip.compress(b"".join(blob), 9, mtime=0))
    print(f"{len(texts)} strings, {os.path.getsize(path)} bytes; mojibake decoding changes {changed}")
    print(f"transformers {transformers.__version__}, ftfy {ftfy.__version__}, regex "
          f"{regex.__version__}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
