"""Prompt language vectors: tags, AND, scheduling, attention, chunks.

    python tools/vectors/prompt.py host/prompt/vocab/bpe_merges.txt tests/vectors/prompt/prompt.json.gz

Needs lark 1.1.2 (the web UI's pin), transformers==4.25.1, ftfy, regex. Written from the rules, in
another way than the C code: a context-free grammar for lark's Earley parser, regular expressions,
and lists that are multiplied item by item.
"""

import gzip
import importlib.metadata
import json
import os
import platform
import random
import re
import sys

import lark

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

# ---- scheduling --------------------------------------------------------------------------------

GRAMMAR = r"""
!start: (prompt | /[][():]/+)*
prompt: (group | timed | cycle | plain | SPACE)*
!group: "(" prompt ")" | "(" prompt ":" prompt ")" | "[" prompt "]"
timed: "[" [prompt ":"] prompt ":" [SPACE] NUMBER %s "]"
cycle: "[" prompt ("|" %s)+ "]"
SPACE: /\s+/
plain: /([^\\\[\]():|]|\\.)+/
%%import common.SIGNED_NUMBER -> NUMBER
"""
ERA = lark.Lark(GRAMMAR % ("", "prompt"), maybe_placeholders=True)
V16 = lark.Lark(GRAMMAR % ("[SPACE]", "[prompt]"), maybe_placeholders=True)


def flat(node):
    """The text of a node in which nothing is timed."""
    if node is None:
        return ""
    if isinstance(node, lark.Token):
        return str(node)
    return "".join(flat(child) for child in node.children)


def change(node, steps, v16):
    text = str(node.children[3])
    value = float(text)
    if ("." in text) if v16 else value < 1:
        value *= steps
    return int(min(max(value, -1), steps))


def at_step(node, step, steps, v16):
    if node is None:
        return ""
    if isinstance(node, lark.Token):
        return str(node)
    if node.data == "timed":
        chosen = node.children[0] if step <= change(node, steps, v16) else node.children[1]
        return at_step(chosen, step, steps, v16)
    if node.data == "cycle":
        return at_step(node.children[(step - 1) % len(node.children)], step, steps, v16)
    return "".join(at_step(child, step, steps, v16) for child in node.children)


def schedule(text, steps, v16):
    try:
        tree = (V16 if v16 else ERA).parse(text)
    except lark.exceptions.LarkError:
        return [[steps, text]]
    wanted = {steps}
    for node in tree.iter_subtrees():
        if node.data == "timed":
            step = change(node, steps, v16)
            if step >= (1 if v16 else 0):
                wanted.add(step)
        if node.data == "cycle":
            if not v16 and any(flat(child) == "" for child in node.children):
                return [[steps, text]]
            wanted |= set(range(1, steps + 1))
    return [[step, at_step(tree, step, steps, v16)] for step in sorted(wanted)]


# ---- attention ---------------------------------------------------------------------------------


def attention(text, v16):
    gap = r"\s*" if v16 else ""
    token = re.compile(r"\\[()\[\]\\]|\\|[(\[]|:" + gap + r"([+-]?[.0-9]+)" + gap + r"\)|[)\]]|[^\\()\[\]:]+|:")
    items, opened = [], {"(": [], "[": []}

    def multiply(start, by):
        for item in items[start:]:
            item[1] *= by

    for match in token.finditer(text):
        word, number = match.group(0), match.group(1)
        if word[0] == "\\":
            items.append([word[1:], 1.0])
        elif word in opened:
            opened[word].append(len(items))
        elif number is not None and opened["("]:
            multiply(opened["("].pop(), float(number))
        elif word == ")" and opened["("]:
            multiply(opened["("].pop(), 1.1)
        elif word == "]" and opened["["]:
            multiply(opened["["].pop(), 1 / 1.1)
        else:
            for i, part in enumerate(re.split(r"\s*\bBREAK\b\s*", word)):
                if i:
                    items.append(["BREAK", -1.0])
                items.append([part, 1.0])
    for start in opened["("]:
        multiply(start, 1.1)
    for start in opened["["]:
        multiply(start, 1 / 1.1)
    merged = []
    for item in items or [["", 1.0]]:
        if merged and merged[-1][1] == item[1]:
            merged[-1][0] += item[0]
        else:
            merged.append(list(item))
    return merged


# ---- AND, tags ---------------------------------------------------------------------------------


def parts(text):
    out = []
    for part in re.split(r"\bAND\b", text):
        found = re.match(r"(\s*.*?)(?:\s*:\s*([-+]?(?:[0-9]+\.?|[0-9]*\.[0-9]+)))?\s*$", part)
        if found:
            out.append([found.group(1), float(found.group(2) or 1)])
        else:
            out.append([part, 1.0])
    return out


def tags(text):
    found = []

    def note(match):
        found.append([match.group(1), match.group(2).split(":")])
        return ""

    return [re.sub(r"<(\w+):([^>]+)>", note, text), found]


# ---- chunks ------------------------------------------------------------------------------------

EMBEDDINGS = [["EasyNegative", 8], ["bad-hands-5", 2], ["bad", 1], ["easy", 75], ["bad hands", 20],
              ["Bad-Hands-5", 3], [" ", 4], ["too many", 76], ["miku", 30]]


def chunks(text, ids_of, keys, backtrack):
    done, state = [], {}

    def new():
        state.update(ids=[], weights=[], fixes=[], comma=None)

    def close():
        pad = 75 - len(state["ids"])
        done.append({"ids": [49406] + state["ids"] + [49407] * (pad + 1),
                     "weights": [1.0] + state["weights"] + [1.0] * (pad + 1),
                     "fixes": state["fixes"]})
        new()

    new()
    for piece, weight in attention(text, False):
        if piece == "BREAK" and weight == -1:
            close()
            continue
        ids, i = ids_of(piece), 0
        while i < len(ids):
            if ids[i] == 267:
                state["comma"] = len(state["ids"])
            elif (backtrack and len(state["ids"]) == 75 and state["comma"] is not None
                  and 75 - state["comma"] <= backtrack):
                cut = state["comma"] + 1
                moved = state["ids"][cut:], state["weights"][cut:]
                del state["ids"][cut:], state["weights"][cut:]
                close()
                state["ids"], state["weights"] = moved
            if len(state["ids"]) == 75:
                close()
            fit = [k for k in keys if ids[i:i + len(k[0])] == k[0]]
            if not fit:
                state["ids"].append(ids[i])
                state["weights"].append(weight)
                i += 1
                continue
            key, index, vectors = max(fit, key=lambda k: (len(k[0]), -k[1]))
            if len(state["ids"]) + vectors > 75:
                close()
            state["fixes"].append([len(state["ids"]), index])
            state["ids"] += [0] * vectors
            state["weights"] += [weight] * vectors
            i += len(key)
    if state["ids"] or not done:
        close()
    return done


# ---- strings -----------------------------------------------------------------------------------

SCHEDULES = """test|a [b:3]|a [b: 3]|a [[[b]]:2]|[(a:2):3]|a [b : c : 1] d|a[b:[c:d:2]:1]e|a [unbalanced
a [b:.5] c|a [{b:d{:.5] c|((a][:b:c [d:3]|[a::5]|[:a:5]|[a:5]|[::5]|[:5]|[a:b:0.5]|[a:b:-1]|[a:b:+.25]
[a:b:1]|[a:b:1.0]|[a:b:0]|[a:b:0.0]|[a:b:1e1]|[a:b:99]|[a:b:10 ]|[a:b:\t7]|[a:b:c]|[a:b:c:3]|[a:b:1.2.3]
x [a:b:0.3] y [c:d:0.6] z|[[a:b:2]:[c:d:8]:5]|([a:b:5]:1.2)|([a:b:5]|a \\[b:c:5\\] d|[a\\:b:c:5]|\\\\[a:b:5]
(a:b:c) [d:e:5]|[a (b:1.2):c:0.5]|[a:b:5] [c|[a](b)[c:d:5]()[]|a:b|:|[]|()|[:]|[::]|(:)|[a:b:-0.01]|[a:b:1.]
[a:b:1e400]|[a:b:-5]|[a:b:0.99]|[a:b:]|[a:b:.]|[a:b:5][c:d:5]|[a [b:c:5] d:e:8]|(((((a:b:5)|[[[[[a:b:5]""" \
    .replace("\n", "|").split("|") + [
        "[a|b]", "[a|b|c] d", "[a|(b:1.1)]", "x[a|[b:c:4]]y", "[[a|b]|c]", "[a|b:5]", "[a|b", "a|b",
        "(a|b)", "[fe|]male", "[fe|||]male", "[|a]", "[ |a]", "[a|b]:5]", "[[a|b|c]:d:5]", "[a|b][c|d|e]",
        "a\\", "[a:b:5]\\", "a\\\nb [c:d:5]", "[a\\|b|c]", "[a:b:5] \n [c:d:6]\n", "", " ",
        "[初音|ミク]", "[初音:ミク:0.5]", "é[à:ü:3]", "\u3000[a:b:\u30003]", "[\\]:\\[:5]",
        "fantasy [mountain:lake:0.25] and [an oak:a christmas tree:0.75][ in foreground::0.6]"
        "[ in background:0.25] [shoddy:masterful:0.5]"]
ATTENTIONS = """normal text|an (important) word|(unbalanced|\\(literal\\]|(unnecessary)(parens)
a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).|((x))|[x]|[[x]]|([x])|[(x])|(x]|x)|]x|(x:1.2|x:1.2)|(x:-1)
(x: 1.2 )|(x :1.2)|(x:+.5)|(x:1.)|()|[]|(()|a:b|(a:b:1.5)|(a:b)|\\|\\\\|\\a|a\\|(\\)x)|BREAK|a BREAK b|aBREAKb
a\nBREAK\n\nb|(a BREAK b)|[BREAK]|(BREAK:1)|(BREAK:1.0)x|break|BREAK BREAK|BREAKBREAK|BREAK,|_BREAK|éBREAK|é BREAK
(a:1e3)|((a:1.1):1.1)|(((a)))|(a)(b)[c]|masterpiece, (best quality:1.4), [low] \\(series\\)|(a:0)|(a:00.5)""" \
    .replace("\na\n", "\ra\r").replace("\n", "|").replace("\r", "\n").split("|")
PARTS = ["cat", "cat AND dog", "cat :1.3", "cat:1.3 AND dog : -0.5 AND  bird  ", "ANDy AND bAND", "AND", "a AND",
         " cat ", "  ", "", "a\nb :1.2", "a :1.2\n", "\n a : 2.", "a\n:1.5", ": 1", ":1", "a:", "a:b", "a:1:2",
         "a :.5", "a : .", "a:+3", "a:1e3", "(cat:1.2)", "(cat:1.2) :0.5", "cat:1.2 ,", "éAND b", "é AND b", "a_AND b",
         "a-AND-b", "\u3000a\u3000:1.1\u3000", "a :1.2 b AND c:7", "a:- 1", "a: -1", "1.2", "a 1.2", "x\n\ny  "]
TAGS = ["<lora:flat2:-1>, hatsune miku", "<lora:a:1:0.5><hypernet:b:2>c", "<lora:>", "<:a>", "<a:b", "<lora:a:b:te=1>",
        "x <lora: a :0.5> y", "<<lora:a>>", "<lora:a<lora:b:1>", "<lo ra:a>", "<lora:a:1> <3 a:b>", "<é:à>", "<a::>",
        "a < b : c > d", "<lora\n:a>", "<lora:a\nb>", "", "<_:1>", "<lora:flat2:-1", "<lora:ミク:0.8>"]


def random_text(rng, words, least, most):
    return "".join(rng.choice(words) for _ in range(rng.randint(least, most)))


def main():
    merges, path = sys.argv[1:]
    import tokens
    slow = tokens.tokenizer(merges, False)
    rng = random.Random(1)
    ids_of = lambda text: slow(text, add_special_tokens=False)["input_ids"]
    keys = [(ids_of(name), i, vectors) for i, (name, vectors) in enumerate(EMBEDDINGS)
            if ids_of(name) and vectors <= 75]
    pieces = ["a", "b ", "cat", ", ", " ", "(", ")", "[", "]", ":", ":1.2)", ":0.5)", "\\", "BREAK", " BREAK ", "\n",
              "é", ":", "((", "))", "[[", ":-1)", ": 1.3 )", "x:", "1"]
    attentions = ATTENTIONS + [random_text(rng, pieces, 1, 14) for _ in range(500)]
    # Whole brackets only: beside loose ones lark may take a bracket literally (see README-PROMPT).
    timed = ["[a:b:3]", "[c::0.4]", "[d|e]", "(f)", "[g]", " h ", "(i[:j:8]k)", "(l:1.2)", "m\\[", ",", "[n:o:.7]",
             "\\]", "[p [q:r:4]:2]", "[s|[t:u:3]|v]", "[ w : x : 6]", "[[y|z]:[(1:2)::5]:7]"]
    schedules = SCHEDULES + [random_text(rng, timed, 1, 6) for _ in range(300)]
    longs = ["", "hatsune miku", "EasyNegative,  bad-hands-5", "easynegative, (BAD - HANDS - 5:1.3) bad hands bad",
             "BREAK", "a BREAK b", "BREAK BREAK", "(a BREAK b)", "!" * 75, "a " * 75, "a " * 76, "a, " * 60,
             "a " * 60 + ", " + "b " * 20, "a " * 74 + ",", "a " * 75 + ",", "a " * 54 + ", " + "b " * 20 + "c",
             "a " * 53 + ", " + "b " * 21 + "c", "a " * 60 + ", EasyNegative " + "c " * 10, "a " * 70 + "EasyNegative",
             "a " * 64 + ", miku b", "a " * 60 + ", bad-hands-5 b b b b b b b b b b b b b b b b b b",
             "easy easy", "too many", "easyNegative (easy:2) negative", "(bad-)hands-5", "ba(d-hands-5)"]
    vocabulary = ["cat ", "dog, ", "EasyNegative ", "bad-hands-5, ", "hatsune miku ", "(red:1.2) ", "[blue] ", ", ",
                  "masterpiece ", "bad ", " BREAK ", "extra digits ", "12 ", "((very)) ", "初音ミク "]
    longs += [random_text(rng, vocabulary, 10, 120) for _ in range(60)]
    rows = []
    for text in longs:
        for backtrack in (20, 0):
            made = chunks(text, ids_of, keys, backtrack)
            rows.append([text, backtrack, [c["ids"] for c in made], [c["weights"] for c in made],
                         [c["fixes"] for c in made]])
    data = {
        "tags": [[text, *tags(text)] for text in TAGS],
        "parts": [[text, parts(text)] for text in PARTS],
        "attention": [[text, attention(text, False), attention(text, True)] for text in attentions],
        "schedule": [[text, schedule(text, 10, False), schedule(text, 10, True)] for text in schedules],
        "embeddings": EMBEDDINGS,
        "chunks": rows,
    }
    raw = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode()
    with open(path, "wb") as file:
        file.write(gzip.compress(raw, 9, mtime=0))
    print({name: len(value) for name, value in data.items()}, os.path.getsize(path), "bytes")
    print(f"lark {importlib.metadata.version('lark')}, transformers "
          f"{importlib.metadata.version('transformers')}, Python {platform.python_version()}")


if __name__ == "__main__":
    main()
