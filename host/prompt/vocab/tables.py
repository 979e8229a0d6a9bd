"""Writes entities.inc and letters.inc beside this file.

    python tables.py        (Python 3.11 with regex and a shared libutf8proc)

entities.inc  what ftfy.fixes.unescape_html decodes by name: every name of html.entities.html5 that
              ends in a semicolon, and the upper-case form of an all lower-case name where the
              standard does not know that form.
letters.inc   letters and numbers of the regex package's Unicode that the oldest supported utf8proc
              (2.8, Unicode 15.0) does not know yet.
"""

import ctypes
import html
import html.entities
import os
import platform
import unicodedata

import regex

HERE = os.path.dirname(os.path.abspath(__file__))


def c_bytes(text):
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8"))


def entities():
    table = {}
    for name, text in html.entities.html5.items():
        if not name.endswith(";"):
            continue
        table[name] = text
        upper = name.upper()
        if name == name.lower() and html.unescape("&" + upper) == "&" + upper:
            table[upper] = text.upper()
    lines = [f"/* Python {platform.python_version()}, html.entities: name and UTF-8 text, sorted */"]
    for name in sorted(table, key=lambda n: n[:-1].encode()):
        lines.append(f'{{ "{name[:-1]}", "{c_bytes(table[name])}" }},')
    return lines


def missing(pattern, first, last):
    known = ctypes.CDLL("libutf8proc.so.2").utf8proc_category
    found = regex.compile(pattern)
    out = []
    for c in range(0x110000):
        if 0xD800 <= c < 0xE000 or first <= known(c) <= last or not found.match(chr(c)):
            continue
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def letters():
    lines = [f"/* regex {regex.__version__} beyond utf8proc 2.8.0: first, last, is a number */"]
    rows = [(a, b, 0) for a, b in missing(r"\p{L}", 1, 5)]
    rows += [(a, b, 1) for a, b in missing(r"\p{N}", 9, 11)]
    lines += [f"{{ 0x{a:x}, 0x{b:x}, {n} }}," for a, b, n in sorted(rows)]
    return lines


for name, lines in (("entities.inc", entities()), ("letters.inc", letters())):
    with open(os.path.join(HERE, name), "w") as file:
        file.write("\n".join(lines) + "\n")
