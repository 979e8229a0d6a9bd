#!/usr/bin/env python3
"""Breaks the kernels one line at a time, as tests/mutations.txt says, and requires the tests to notice.

    tests/mutate.py [--build DIR] [--jobs N] [TEXT...]    mutants whose line has one of the TEXTs

Each mutant is a copy in DIR/mutants, laid over the tree by an include path: what of the test depends
on the file is compiled again, the rest is linked as it is. The fast build runs in three orders, then
the checked one, until something fails. Exit 1 if a mutant passes all four, or its text is gone.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
ORDERS = ("forward", "random", "reverse")


def read_list(path):
    """Blocks of "@ test file", ": what is wrong", "- old" lines and "+ new" lines."""
    mutants, test, file = [], None, None
    for line in path.read_text().splitlines():
        mark, text = line[:2], line[2:]
        if mark == "@ ":
            test, file = text.split()
        elif mark == ": ":
            mutants.append({"test": test, "file": file, "what": text, "old": [], "new": []})
        elif mark in ("- ", "+ ", "+", "-"):
            mutants[-1]["old" if mark[0] == "-" else "new"].append(text)
        elif line and not line.startswith("#"):
            sys.exit(f"{path.name}: what is \"{line}\"?")
    return mutants


class Build:
    """What ninja knows of a build folder."""

    def __init__(self, folder):
        self.folder = folder
        self.compile = {}
        for entry in json.loads((folder / "compile_commands.json").read_text()):
            words = shlex.split(entry["command"])
            words = words[1:] if words[0].endswith("ccache") else words
            self.compile[words[words.index("-o") + 1]] = (words, entry["file"])
        self.links, self.deps = {}, {}

    def ninja(self, *words):
        done = subprocess.run(["ninja", "-C", str(self.folder), *words], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(done.stdout[-3000:] + done.stderr)
        return done.stdout

    def link(self, target):
        if target not in self.links:
            commands = self.ninja("-t", "commands", target).splitlines()
            self.links[target] = [w for w in shlex.split(commands[-1]) if w not in (":", "&&")]
        return self.links[target]

    def dependents(self, target, file):
        """Objects of the target, or of its archives, that are made from the file."""
        objects = [w for w in self.link(target) if w.endswith(".o")]
        for archive in (w for w in self.link(target) if "emulated_cuda" in w and w.endswith(".a")):
            objects += self.ninja("-t", "inputs", archive).split()
        wanted = str(ROOT / file)
        return [o for o in dict.fromkeys(objects) if o in self.compile and
                (self.compile[o][1] == wanted or wanted in self.deps_of(o))]

    def deps_of(self, obj):
        if obj not in self.deps:
            listed = self.ninja("-t", "deps", obj).splitlines()
            self.deps[obj] = {os.path.normpath(self.folder / line.strip()) for line in listed[1:]}
        return self.deps[obj]


def run(words, folder, env=None, limit=900):
    try:
        return subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=limit,
                              env={**os.environ, **(env or {})})
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", "hangs")


def make(build, mutant, kind, place):
    """The test's program with the mutant in it; or what the compiler says."""
    target = f"emulator_{mutant['test']}_{kind}"
    source = place / mutant["file"]
    objects = {}
    for number, obj in enumerate(build.dependents(target, mutant["file"])):
        words, file = build.compile[obj]
        made = place / f"{kind}{number}.o"
        words = [str(source) if w == file and file == str(ROOT / mutant["file"]) else w for w in words]
        words[words.index("-o") + 1] = str(made)
        words = [words[0], f"-I{place}"] + [w for w in words[1:] if w != "-Werror"]
        done = run(words, build.folder)
        if done.returncode != 0:
            return None, done.stderr
        objects[obj] = str(made)
    if not objects:
        return None, f"nothing of {target} is made from {mutant['file']}"
    program = place / kind
    words = [objects.pop(w, w) for w in build.link(target)]
    words[words.index("-o") + 1] = str(program)
    first = next(i for i, w in enumerate(words) if w.endswith(".o"))
    done = run(words[:first] + list(objects.values()) + words[first:], build.folder)
    return (program, "") if done.returncode == 0 else (None, done.stderr)


def verdict(build, number, mutant):
    """Who noticed, and what was said; None for who if nobody did."""
    text = (ROOT / mutant["file"]).read_text()
    old, new = "\n".join(mutant["old"]), "\n".join(mutant["new"])
    if text.count(old) != 1:
        return None, f"its text is there {text.count(old)} times"
    place = build.folder / "mutants" / str(number)
    (place / mutant["file"]).parent.mkdir(parents=True, exist_ok=True)
    (place / mutant["file"]).write_text(text.replace(old, new))
    for kind, orders in (("fast", ORDERS), ("checked", ("random",))):
        program, said = make(build, mutant, kind, place)
        if not program:
            return None, "does not compile: " + said[:400]
        for order in orders:
            done = run([str(program)], build.folder,
                       {"EMU_ORDER": order, "EMU_SM": "2" if order == "reverse" else "132",
                        "EMU_WATCHDOG_S": "10", "CHECK_STOPS": "1"})
            if done.returncode != 0:
                return (f"fast {order}" if kind == "fast" else kind), summary(done)
        program.unlink()
    return None, "all tests passed"


def summary(done):
    out = done.stdout + done.stderr
    report = re.search(r"emulator: .*?lane \d+\): (.*)", out)
    values = re.findall(r"(.*(?:values are off|bytes differ).*)", out) # the first are planted ones
    lines = [line for line in out.splitlines() if line.strip()]
    said = report.group(1) if report else values[-1] if values else lines[-1] if lines else ""
    return said[:160] or f"exit {done.returncode}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=str(ROOT / "build"), type=pathlib.Path)
    parser.add_argument("--jobs", default=os.cpu_count(), type=int)
    parser.add_argument("text", nargs="*")
    args = parser.parse_args()
    mutants = [m for m in read_list(ROOT / "tests/mutations.txt")
               if not args.text or any(t in f"{m['test']} {m['file']} {m['what']}" for t in args.text)]
    build = Build(args.build.resolve())
    targets = sorted({f"emulator_{m['test']}_{kind}" for m in mutants for kind in ("fast", "checked")})
    build.ninja(*targets)
    for target in targets: # asked for here once: not from two threads
        build.link(target)
        for m in mutants:
            if target.startswith(f"emulator_{m['test']}_"):
                build.dependents(target, m["file"])
    missed = 0
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        for m, (who, said) in zip(mutants, pool.map(lambda p: verdict(build, *p), enumerate(mutants))):
            missed += who is None
            print(f"{who or 'NOT CAUGHT'} | {m['test']} | {m['what']} | {said}", flush=True)
    print(f"{len(mutants)} mutants, {missed} not caught")
    return missed != 0


sys.exit(main())
