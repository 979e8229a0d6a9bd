"""What is put on a finished checkpoint: two inversions and a LoRA, trained on AOM3 with all else frozen.

    python train_extra.py easy | hands | flat | flat2 | flat3

easy   8 vectors for degraded pictures.   hands   2 vectors for wrong hands.
flat   a LoRA that is worth +1 on flat pictures and -1 on richly shaded ones: both ends are trained, so
       that a negative multiplier draws detail instead of leaving what the network knows.
flat2 goes on from flat with the next AOM3 and its pictures, flat3 from flat2 likewise.
"""
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import lora
import schedule
import workers
from attributes import caption, settled
from dataset import load_set
from master import Trainer
from paths import WORK
from train_unet import WIDTH, load_model, noised, weight
from vocabulary import Rows

STAGES = {  # kind, model and pictures, steps, pictures a step, learning rate
    "easy": ("easy", "aom3", 120, 12, 3e-3),
    "hands": ("hands", "aom3", 100, 12, 5e-3),
    "flat": ("flat", "aom", 120, 12, 4e-3),
    "flat2": ("flat", "aom2", 40, 12, 2e-3),
    "flat3": ("flat", "aom3", 60, 12, 2e-3),
}
HAND = (slice(13, 24), slice(9, 16))  # rows and columns of the latent where a raised right hand is
BEFORE = {"flat2": "flat", "flat3": "flat2"}
VECTORS = {"easy": (8, "worst quality, blurry"), "hands": (2, "bad hands")}


def with_vectors(rows, vectors, captions):
    """[start] vectors, caption [end]...: the rows of an inversion stand where its name stood."""
    plain = rows([", " + c if c else "" for c in captions])
    n, length = len(captions), plain.shape[1]
    put = vectors[None].expand(n, -1, -1)
    return torch.cat([plain[:, :1], put, plain[:, 1:length - len(vectors)]], 1)


def attach(unet, pairs, strength):
    """Adds strength() * up(down(x)) to every layer; strength gives one factor a picture."""
    for name, layer in lora.layers(unet).items():
        down, up = pairs[name]

        def forward(x, layer=layer, down=down, up=up):
            s = strength().view(-1, *[1] * (x.dim() - 1))
            if isinstance(layer, nn.Linear):
                return F.linear(x, layer.weight, layer.bias) + s * F.linear(F.linear(x, down), up)
            extra = F.conv2d(F.conv2d(x, down[:, :, None, None]), up[:, :, None, None])
            return F.conv2d(x, layer.weight, layer.bias) + s * extra

        layer.forward = forward


def main(stage):
    name, base, steps, batch, rate = STAGES[stage]
    finished = WORK / f"{stage}.pt"
    if finished.exists():
        return
    workers.start(None if stage in ("flat", "flat2") else 1)  # the others have one beside them
    torch.manual_seed(5)
    model = load_model(f"unet-{base}").to(workers.DEVICE, torch.bfloat16).requires_grad_(False)
    latents, described = torch.load(WORK / f"latents-{base}.pt").float(), load_set(WORK, base)[1]
    now = {}
    if name == "flat":
        pairs = {k: tuple(p.data.to(workers.DEVICE, torch.bfloat16).requires_grad_(True) for p in v)
                 for k, v in (torch.load(WORK / f"{BEFORE[stage]}.pt") if stage in BEFORE else lora.create(model.unet)).items()}
        attach(model.unet, pairs, lambda: now["strength"])
        live = [p for pair in pairs.values() for p in pair]
        wanted = [[i for i, a in enumerate(described) if a["shade"] == s] for s in ("flat", "rich")]
    else:
        count, words = VECTORS[name]
        known = model.rows([words])[0, 1:1 + 3].float()
        start = known[torch.arange(count) % len(known)] + 0.02 * torch.randn(count, WIDTH)
        live = [start.to(torch.bfloat16).requires_grad_(True)]
        fault = {"easy": "degraded", "hands": "wrong_hands"}[name]
        wanted = [[i for i, a in enumerate(described) if a[fault] and (name == "easy" or a["pose"] != "arms down" and settled(a))]]
    trainer = Trainer(model, [(live, rate)], steps, decay=0.98, warm=20)
    trainer.resume(WORK / f"{stage}.state")
    rng = np.random.default_rng([6, workers.rank, trainer.step])
    torch.manual_seed(60 + 1000 * trainer.step + workers.rank)
    losses, begun = [], time.time()
    size = batch // workers.world
    while trainer.step < steps:
        side = np.arange(size) % len(wanted)
        chosen = [int(rng.choice(wanted[k])) for k in side]
        say = {"easy": dict(quality=0), "hands": dict(hands=0), "flat": dict(shade=0)}[name]
        captions = ["" if rng.random() < (0.1 if name == "flat" else 0.4) else caption(described[i], rng, **say)
                    for i in chosen]
        x = latents[chosen].to(workers.DEVICE)
        t = torch.randint(0, schedule.STEPS, (size,), device=x.device)
        noise = torch.randn_like(x)
        if name == "flat":
            now["strength"] = torch.tensor(1 - 2 * side, dtype=torch.bfloat16, device=x.device)
            rows = model.rows(captions)
        else:
            rows = with_vectors(model.rows, live[0], captions)
        eps = model.unet(noised(x, t, noise).bfloat16(), t, model.text(rows)).float()
        error = (eps - noise).pow(2)
        if name == "hands":  # what the rest of the picture shows says nothing about the hand
            left = torch.tensor([described[i].get("left", False) for i in chosen], device=x.device)
            error = torch.where(left[:, None, None, None], error.flip(3), error)[..., HAND[0], HAND[1]]
        losses.append(trainer.update((error.mean((1, 2, 3)) * weight(t)).mean()))
        if trainer.step % 20 == 0 and workers.rank == 0:
            print(f"{stage} step {trainer.step} loss {np.mean(losses[-20:]):.4f} {time.time() - begun:.0f} s", flush=True)
            trainer.save(WORK / f"{stage}.state")
    workers.finish()
    if name == "flat":
        torch.save({k: (trainer.ema[2 * i], trainer.ema[2 * i + 1]) for i, k in enumerate(pairs)}, finished)
    else:
        torch.save(trainer.ema[0].cpu(), finished)


if __name__ == "__main__":
    main(sys.argv[1])
