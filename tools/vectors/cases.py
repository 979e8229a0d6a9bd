"""The four cases on the embedded weights, by the PyTorch pipeline of tools/train: tests/vectors/cases/N.png.

    python tools/vectors/cases.py

First every file is loaded by torch.load or safetensors, and its containers' promises are checked.

Prompts, seeds, steps and samplers are read from bench/cases, the size from weights/mini/manifest.json.
Run it again whenever the embedded weights change.
"""
import hashlib
import json
import pathlib
import re
import sys

import cv2
import torch
from safetensors import safe_open

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "train"))
from pipeline import Pipeline  # noqa: E402  (its folder is not a package)

MINI, OUT = ROOT / "weights" / "mini", ROOT / "tests" / "vectors" / "cases"


def check_files(manifest):
    """Hashes, the note that each is a stand-in, fp16 weights, and what is particular to each kind."""
    for entry in manifest["files"]:
        path = MINI / entry["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == entry["sha256"], path
        if path.suffix == ".safetensors":
            with safe_open(path, "pt") as file:
                about, tensors = file.metadata(), {k: file.get_tensor(k) for k in file.keys()}
        else:
            about = torch.load(path)
            tensors = about.get("state_dict") or about["string_to_param"]
        assert about["stand_in"] and about["recipe"] == entry["recipe"], path
        buffers = 13 if path.suffix == ".ckpt" else int(entry["kind"] == "checkpoint")  # schedule and position_ids
        buffers += entry["kind"] == "vae"  # loss.logvar, which is no weight
        assert sum(t.dtype != torch.float16 for t in tensors.values()) == buffers, path
        assert ("loss.logvar" in tensors) == (entry["kind"] == "vae"), path
        assert all(torch.isfinite(t.float()).all() for t in tensors.values()), path
        print(path.name, len(tensors), "tensors", flush=True)


def read_case(path):
    """prompt, negative and the pairs of the last line."""
    lines = path.read_text().split("\n")
    pairs = dict(re.findall(r"([\w ]+): ([^,]*)(?:, |$)", lines.pop()))
    negative = lines.pop().removeprefix("Negative prompt: ") if len(lines) > 1 else ""
    return lines[0], negative, pairs


def main():
    manifest = json.loads((MINI / "manifest.json").read_text())
    check_files(manifest)
    width, height = manifest["size"]
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
