"""The four cases on the embedded weights, by the PyTorch pipeline of tools/train: tests/vectors/cases/N.png.

    python tools/vectors/cases.py

Prompts, seeds, steps and samplers are read from bench/cases, the size from weights/mini/manifest.json.
Run it again whenever the embedded weights change.
"""
import json
import pathlib
import re
import sys

import cv2
import torch

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))
from pipeline import Pipeline  # noqa: E402  (its folder is not a package)

MINI, OUT = ROOT / "weights" / "mini", ROOT / "tests" / "vectors" / "cases"


def read_case(path):
    """prompt, negative and the pairs of the last line."""
    lines = path.read_text().split("\n")
    pairs = dict(re.findall(r"([\w ]+): ([^,]*)(?:, |$)", lines.pop()))
    negative = lines.pop().removeprefix("Negative prompt: ") if len(lines) > 1 else ""
    return lines[0], negative, pairs


def main():
    width, height = json.loads((MINI / "manifest.json").read_text())["size"]
    cases = json.loads((ROOT / "bench" / "cases" / "cases.json").read_text())["cases"]
    OUT.mkdir(parents=True, exist_ok=True)
    for case in cases:
        prompt, negative, pairs = read_case(ROOT / "bench" / "cases" / case["file"])
        pipeline = Pipeline(MINI, pairs["Model"], case["vae"])
        picture = pipeline.pictures(prompt, negative, (int(pairs["Seed"]),), int(pairs["Steps"]), pairs["Sampler"],
                                    float(pairs["CFG scale"]), int(pairs["Clip skip"]), (width, height))[0]
        cv2.imwrite(str(OUT / f"{case['id']}.png"), picture[:, :, ::-1])
    (OUT / "versions.txt").write_text(f"torch {torch.__version__}\n")


main()
