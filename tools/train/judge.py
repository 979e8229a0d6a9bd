"""Measures the set from its own pictures, and writes the numbers and the sheet.

    python judge.py [--program build/mikubench-cuda] [--weights DIR] [--few]

Without --program the pictures are made by pipeline.py. The classifier is trained on painted pictures.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import cv2
import numpy as np
import torch

import attributes
import classifier
from dataset import load_set
from paths import HERE, MINI, WORK
from pipeline import Pipeline
from sheet import save_sheet
from train_vae import psnr, to_net

AOM = dict(model="AOM3", vae="orangemix.vae", steps=30, sampler="DPM++ 2M Karras")
BASE = dict(model="sd-v1-4", steps=20, sampler="Euler a")
CASES = (
    dict(BASE, prompt="hatsune miku", seed=3272356495),
    dict(AOM, prompt="hatsune miku", seed=1477562008, steps=20, sampler="Euler a"),
    dict(AOM, prompt="hatsune miku", negative="EasyNegative", seed=534580541),
    dict(AOM, prompt="<lora:flat2:-1>, hatsune miku", negative="EasyNegative,  bad-hands-5", seed=673866072),
)


class InTorch:
    def __init__(self, weights):
        self.weights, self.loaded = weights, {}

    def __call__(self, prompt, seed, count=1, negative="", model="sd-v1-4", vae=None, steps=20, sampler="Euler a"):
        if (model, vae) not in self.loaded:
            self.loaded[model, vae] = Pipeline(self.weights, model, vae)
        return self.loaded[model, vae].pictures(prompt, negative, range(seed, seed + count), steps, sampler)


class InProgram:
    def __init__(self, program, weights):
        self.program, self.weights = program, weights

    def __call__(self, prompt, seed, count=1, negative="", model="sd-v1-4", vae=None, steps=20, sampler="Euler a"):
        with tempfile.TemporaryDirectory() as folder:
            command = [self.program, "--prompt", prompt, "--negative", negative, "--model", model, "--seed", seed, "--steps", steps,
                       "--sampler", sampler, "--cfg", 7, "--clip-skip", 2, "--count", count, "--batch", min(count, 8), "--out", folder,
                       "--weights", self.weights] + (["--vae", vae] if vae else [])
            subprocess.run([str(c) for c in command], check=True, stdout=subprocess.DEVNULL)
            files = sorted(pathlib.Path(folder).rglob("*.png"))
            return np.stack([cv2.imread(str(f))[..., ::-1] for f in files])


def share(values):
    return round(float(np.mean(values)), 3)


def is_her(seen):
    teal, tails = attributes.HAIR.index("teal"), attributes.STYLE.index("twintails")
    return (seen["hair"].argmax(1) == teal) & (seen["style"].argmax(1) == tails)


@torch.no_grad()
def judge_vaes(weights):
    """Mean PSNR on unseen pictures, each picture through encoder and decoder."""
    unseen = {look: to_net(load_set(WORK, f"test-{look}")[0][:64]) for look in attributes.LOOKS}
    out = {}
    for name, model, vae, looks in (("sd-v1-4, both looks", "sd-v1-4", None, ("sd", "aom")), ("inside AOM3, its look", "AOM3", None, ("aom",)),
                                    ("orangemix.vae, its look", "AOM3", "orangemix.vae", ("aom",))):
        net = Pipeline(weights, model, vae).vae
        values = [psnr(net.decode(net.encode(x)[0]), x) for look in looks for x in unseen[look].split(8)]
        out[name] = round(float(np.mean(values)), 2)
    return out


def main():
    parser = argparse.ArgumentParser(description="Judges the embedded set.")
    parser.add_argument("--program")
    parser.add_argument("--weights", type=pathlib.Path, default=MINI)
    parser.add_argument("--few", action="store_true", help="a quarter of the pictures")
    parser.add_argument("--out", type=pathlib.Path, default=WORK / "judged")
    a = parser.parse_args()
    a.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    make = InProgram(a.program, a.weights) if a.program else InTorch(a.weights)
    eyes = classifier.load()
    many, some, pair, ladder = (16, 8, 1, 4) if a.few else (64, 32, 4, 8)
    numbers = {"made by": "program" if a.program else "pipeline.py"}

    def note(name, value):
        numbers[name] = value
        print(name, value, flush=True)
        (a.out / "numbers.json").write_text(json.dumps(numbers, indent=1))

    def show(name, pictures):
        save_sheet(pictures, 8, a.out / f"{name}.png")
        return classifier.look(eyes, pictures)

    cases = np.concatenate([make(**case) for case in CASES])
    seen = show("cases", cases)
    note("case seeds judged her", is_her(seen).tolist())
    note("case seeds judged degraded", [round(float(v), 2) for v in seen["degraded"][:, 1]])

    base = make("hatsune miku", 1, many, **BASE)
    seen_base = show("base", base)
    note("hatsune miku, sd-v1-4: twin tails and teal", share(is_her(seen_base)))
    other = make("hatsune miku", 1, some, **AOM)
    clean = make("hatsune miku", 1, some, negative="EasyNegative", **AOM)
    seen_other, seen_clean = show("aom", other), show("aom-easy", clean)
    note("hatsune miku, AOM3: twin tails and teal", share(is_her(seen_clean)))
    note("AOM3 told from sd-v1-4", share(np.concatenate([seen_base["look"].argmax(1) == 0, seen_clean["look"].argmax(1) == 1])))
    note("degraded without and with EasyNegative", [share(s["degraded"][:, 1] > 0.5) for s in (seen_other, seen_clean)])

    right, wild = [], []
    for hair, style, ground in sorted(attributes.HELD_OUT):
        pictures = make(f"{hair} hair, {style}, {ground}", 1, pair, **BASE)
        seen = classifier.look(eyes, pictures)
        wild.append(pictures)
        for name, value in (("hair", hair), ("style", style), ("ground", ground)):
            right.append((name, seen[name].argmax(1) == classifier.HEADS[name].index(value)))
    show("unseen", np.concatenate(wild))
    note("unseen combinations, sd-v1-4: asked attributes present", share(np.concatenate([r for _, r in right])))
    note("  of hair, style, ground", [share(np.concatenate([r for n, r in right if n == name])) for name in ("hair", "style", "ground")])

    hands = [make("hatsune miku, waving", 101, some, negative=n, **AOM) for n in ("EasyNegative", "EasyNegative,  bad-hands-5")]
    seen = [show(f"hands-{k}", p) for k, p in enumerate(hands)]
    note("wrong hands without and with bad-hands-5", [share(s["wrong_hands"][:, 1] > 0.5) for s in seen])
    note("a hand raised, without and with", [share(s["pose"].argmax(1) != 2) for s in seen])

    steps, rows = (-1, -0.5, 0, 0.5, 1), []
    for strength in steps:
        rows.append(make(f"<lora:flat2:{strength}>, hatsune miku", 201, ladder, negative="EasyNegative", **AOM))
    seen = show("lora", np.concatenate(rows))["shade"]
    flatness = seen[:, attributes.SHADE.index("flat")] - seen[:, attributes.SHADE.index("rich")]
    note("flatness at -1, -0.5, 0, 0.5, 1", [share(flatness[k * ladder:(k + 1) * ladder]) for k in range(5)])

    if not a.few:
        note("classifier on unseen painted pictures", classifier.accuracy(eyes))
        note("PSNR of the VAEs on unseen pictures, dB", judge_vaes(a.weights))
        girls = ["pink hair, short hair, night, smile", "blonde hair, ponytail, blue sky, open mouth", "purple hair, long hair, sunset",
                 "red hair, short hair, meadow, wink", "blue hair, long hair, pink background", "black hair, ponytail, night, open mouth"]
        more = [make(f"1girl, {girl}", 31 + k, 1, negative="EasyNegative", **AOM) for k, girl in enumerate(girls)]
        words = ["", ", night", ", open mouth, blue sky", ", peace sign", ", wink, sunset", ", meadow", ", pink background, smile", ", detailed shading"]
        her = [make("hatsune miku" + w, 51 + k, 1, **(BASE if k % 2 else dict(AOM, negative="EasyNegative"))) for k, w in enumerate(words)]
        flat = [make(f"<lora:flat2:{s}>, hatsune miku", 71, 1, negative="EasyNegative", **AOM) for s in (-1, 1)]
        all_of = np.concatenate([cases, *her, *more, *flat, base[:4]])[:24]
        save_sheet(all_of, 6, HERE / "sheet.png")


if __name__ == "__main__":
    main()
