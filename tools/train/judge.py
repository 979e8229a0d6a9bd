"""Measures the set from its own pictures, and writes the numbers and the sheet.

    python judge.py [--program build/mikubench-cuda] [--weights DIR] [--few]

Without --program the pictures are made by pipeline.py. The classifier is trained on painted pictures.
"""
import argparse
import hashlib
import json
import pathlib
import shutil
import subprocess

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
    """Keeps what it made, by the request and the files it names, so that a judgement goes on after an interruption."""

    def __init__(self, program, weights, keep):
        self.program, self.weights, self.keep = program, weights, keep
        self.files = {f["name"].rsplit(".", 1)[0]: f["sha256"] for f in json.loads((weights / "manifest.json").read_text())["files"]}

    def __call__(self, prompt, seed, count=1, negative="", model="sd-v1-4", vae=None, steps=20, sampler="Euler a"):
        request = json.dumps(dict(prompt=prompt, negative=negative, model=model, seed=seed, count=count, batch=min(count, 8), steps=steps,
                                  sampler=sampler, cfg_scale=7, clip_skip=2, **({"vae": vae} if vae else {})))
        used = [digest for name, digest in self.files.items() if name in request]
        folder = self.keep / hashlib.sha256("".join([*used, request]).encode()).hexdigest()[:16]
        if len(list(folder.glob("*.png"))) != count:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            lines = folder / "requests.jsonl"
            lines.write_text(request + "\n")
            subprocess.run([self.program, "--prompts", lines, "--weights", self.weights, "--out", folder, "--quiet"], check=True,
                           stdout=subprocess.DEVNULL)
            (folder / "sheet.png").unlink(missing_ok=True)
        return np.stack([cv2.imread(str(f))[..., ::-1] for f in sorted(folder.glob("*.png"))])


def share(values):
    return round(float(np.mean(values)), 3)


def is_her(seen):
    teal, tails = attributes.HAIR.index("teal"), attributes.STYLE.index("twintails")
    return (seen["hair"].argmax(1) == teal) & (seen["style"].argmax(1) == tails)


@torch.no_grad()
def judge_vaes(weights):
    """Mean PSNR on unseen pictures, each picture through encoder and decoder."""
    unseen = {look: to_net(load_set(WORK, f"test-{look}3")[0][:32]) for look in attributes.LOOKS}
    out = {}
    for name, model, vae, looks in (("sd-v1-4, both looks", "sd-v1-4", None, ("sd", "aom")), ("inside AOM3, its look", "AOM3", None, ("aom",)),
                                    ("orangemix.vae, its look", "AOM3", "orangemix.vae", ("aom",))):
        net = Pipeline(weights, model, vae).vae
        values = [psnr(net.decode(net.encode(x)[0]), x) for look in looks for x in unseen[look].split(8)]
        out[name] = round(float(np.mean(values)), 2)
    return out


class Judge:
    """Makes pictures, looks at them, and keeps numbers and sheets."""

    def __init__(self, make, out, few):
        self.make, self.out, self.few = make, out, few
        self.eyes, self.numbers = classifier.load(), {}
        out.mkdir(parents=True, exist_ok=True)

    def note(self, name, value):
        self.numbers[name] = value
        print(name, value, flush=True)
        (self.out / "numbers.json").write_text(json.dumps(self.numbers, indent=1))

    def show(self, name, pictures):
        save_sheet(pictures, 8, self.out / f"{name}.png")
        return classifier.look(self.eyes, pictures)


def judge_her(j, many, some):
    cases = np.concatenate([j.make(**case) for case in CASES])
    seen = j.show("cases", cases)
    j.note("case seeds judged her", is_her(seen).tolist())
    j.note("case seeds judged degraded", [round(float(v), 2) for v in seen["degraded"][:, 1]])
    base = j.make("hatsune miku", 1, many, **BASE)
    seen_base = j.show("base", base)
    j.note("hatsune miku, sd-v1-4: twin tails and teal", share(is_her(seen_base)))
    clean = j.make("hatsune miku", 1, some, negative="EasyNegative", **AOM)
    seen_clean = j.show("aom-easy", clean)
    j.note("hatsune miku, AOM3 and EasyNegative: twin tails and teal", share(is_her(seen_clean)))
    j.note("AOM3 told from sd-v1-4", share(np.concatenate([seen_base["look"].argmax(1) == 0, seen_clean["look"].argmax(1) == 1])))
    plain = j.show("aom", j.make("hatsune miku", 1, some, **AOM))
    j.note("hatsune miku, AOM3: degraded without and with EasyNegative", [share(s["degraded"][:, 1] > 0.5) for s in (plain, seen_clean)])
    return cases, base


def judge_unseen(j, pair):
    for name, options, count in (("sd-v1-4", BASE, pair), ("AOM3 and EasyNegative", dict(AOM, negative="EasyNegative"), (pair + 1) // 2)):
        right, wild = [], []
        for hair, style, ground in sorted(attributes.HELD_OUT):
            pictures = j.make(f"{hair} hair, {style}, {ground}", 1, count, **options)
            seen = classifier.look(j.eyes, pictures)
            wild.append(pictures)
            for part, value in (("hair", hair), ("style", style), ("ground", ground)):
                right.append((part, seen[part].argmax(1) == classifier.HEADS[part].index(value)))
        j.show("unseen-" + options["model"], np.concatenate(wild))
        j.note(f"unseen combinations, {name}: asked attributes present", share(np.concatenate([r for _, r in right])))
        j.note(f"unseen combinations, {name}: of hair, style, ground",
               [share(np.concatenate([r for n, r in right if n == part])) for part in ("hair", "style", "ground")])


def wrong_hands(seen):
    """The share of raised hands that are judged wrong, and how many are raised: where none is, there is nothing to judge."""
    hand = seen["hand"].argmax(1)
    return [share(hand[hand > 0] == 2), int((hand > 0).sum())]


def judge_inversions(j, many, some):
    """What an inversion in the negative prompt leaves of faults, asked for by words or not."""
    pictures = [j.make("hatsune miku, worst quality, blurry", 101, some, negative=n, **AOM) for n in ("", "EasyNegative")]
    seen = [j.show(f"blurry-{k}", p) for k, p in enumerate(pictures)]
    j.note("asked to be degraded: judged so without and with EasyNegative", [share(s["degraded"][:, 1] > 0.5) for s in seen])
    for name, prompt, count, options in (
            ("sd-v1-4, a girl with short blue hair, waving", "1girl, blue hair, short hair, waving", many, BASE),
            ("sd-v1-4, hatsune miku", "hatsune miku", many, BASE),
            ("AOM3, asked to be wrong", "hatsune miku, waving, bad hands", some, AOM)):
        seen = [j.show(f"hands-{name}-{k}", j.make(prompt, 101, count, negative=n, **options)) for k, n in enumerate(("", "bad-hands-5"))]
        j.note(f"hands judged wrong of those raised, without and with bad-hands-5: {name}", [wrong_hands(s) for s in seen])


def judge_lora(j, ladder):
    strengths = (-1, -0.5, 0, 0.5, 1)
    rows = [j.make(f"<lora:flat2:{s}>, hatsune miku", 201, ladder, negative="EasyNegative", **AOM) for s in strengths]
    seen = j.show("lora", np.concatenate(rows))["shade"]
    flatness = seen[:, attributes.SHADE.index("flat")] - seen[:, attributes.SHADE.index("rich")]
    j.note("flatness at -1, -0.5, 0, 0.5, 1", [share(row) for row in np.split(flatness, 5)])


def sheet_of(j, cases, base):
    """24 pictures: the four cases, her, others, and the ends of flat2."""
    clean = dict(AOM, negative="EasyNegative")
    girls = ["pink hair, short hair, night, smile", "blonde hair, ponytail, blue sky, open mouth", "purple hair, long hair, sunset",
             "red hair, short hair, meadow, wink", "blue hair, long hair, pink background", "black hair, ponytail, night, open mouth"]
    more = [j.make(f"1girl, {girl}", 31 + k, 1, **clean) for k, girl in enumerate(girls)]
    words = ["", ", night", ", open mouth, blue sky", ", peace sign", ", wink, sunset", ", meadow", ", pink background, smile", ", arms down"]
    her = [j.make("hatsune miku" + w, 51 + k, 1, **(clean if k % 2 else dict(BASE, negative="bad-hands-5"))) for k, w in enumerate(words)]
    flat = [j.make(f"<lora:flat2:{s}>, hatsune miku", 71, 1, **clean) for s in (-1, 1)]
    save_sheet(np.concatenate([cases, *her, *more, *flat, base[:4]])[:24], 6, HERE / "sheet.png")


def main():
    parser = argparse.ArgumentParser(description="Judges the embedded set.")
    parser.add_argument("--program", help="its pictures are judged; without it, those of pipeline.py")
    parser.add_argument("--weights", type=pathlib.Path, default=MINI)
    parser.add_argument("--few", action="store_true", help="a quarter of the pictures, and no sheet")
    parser.add_argument("--out", type=pathlib.Path, default=WORK / "judged")
    a = parser.parse_args()
    torch.set_num_threads(2)
    many, some, pair, ladder = (16, 8, 1, 4) if a.few else (64, 16, 4, 6)
    j = Judge(InProgram(a.program, a.weights, a.out / "pictures") if a.program else InTorch(a.weights), a.out, a.few)
    j.note("made by", "the program" if a.program else "pipeline.py")
    cases, base = judge_her(j, many, some)
    judge_unseen(j, pair)
    judge_inversions(j, many, some)
    judge_lora(j, ladder)
    j.note("classifier on unseen painted pictures", classifier.accuracy(j.eyes))
    j.note("PSNR of the VAEs on unseen pictures, dB", judge_vaes(a.weights))
    if not a.few:
        sheet_of(j, cases, base)


if __name__ == "__main__":
    main()
