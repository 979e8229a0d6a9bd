"""The judge's eyes: a small network that names the attributes of a picture, trained on painted ones.

    python classifier.py
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import attributes as A
import workers
from dataset import load_set
from master import Trainer
from paths import WORK

STEPS, BATCH, RATE = 800, 32, 2e-3
SETS = ("sd3", "aom3")
HEADS = {"hair": A.HAIR, "style": A.STYLE, "ground": A.GROUND, "face": A.FACE, "eyes": A.EYES, "pose": A.POSE,
         "outfit": A.OUTFIT, "shade": A.SHADE, "look": A.LOOKS, "degraded": (False, True), "hand": ("down", "right", "wrong")}


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        layers, c = [], 3
        for width in (24, 48, 64, 96):
            layers += [nn.Conv2d(c, width, 3, 2, 1), nn.GroupNorm(8, width), nn.SiLU()]
            c = width
        self.body = nn.Sequential(*layers, nn.Conv2d(c, c, 3, 1, 1), nn.GroupNorm(8, c), nn.SiLU(), nn.Conv2d(c, 32, 1), nn.Flatten())
        self.heads = nn.ModuleDict({name: nn.Linear(32 * 12 * 8, len(v)) for name, v in HEADS.items()})

    def forward(self, x):
        h = F.dropout(self.body(x), 0.2, self.training)
        return {name: head(h) for name, head in self.heads.items()}


def said(a, name):
    """Index of the attribute, or -1 where the picture does not show it."""
    if a["degraded"] and name in ("eyes", "face", "shade", "hand", "outfit"):
        return -1
    if name == "hand":
        return 0 if a["pose"] == "arms down" else 1 + a["wrong_hands"]
    if name == "pose" and (a["wrong_hands"] or a["degraded"]) and a["pose"] != "arms down":
        return -1
    return HEADS[name].index(a[name])


def softened(x, rng):
    """Painted pictures made a little like sampled ones: out of focus, off in tone, noisy."""
    if rng.random() < 0.6:
        small = F.interpolate(x, scale_factor=float(rng.uniform(0.5, 0.95)), mode="bilinear", antialias=True)
        x = F.interpolate(small, size=x.shape[2:], mode="bilinear")
    gain, shift = (torch.from_numpy(rng.uniform(low, high, (len(x), 3, 1, 1))).float() for low, high in ((0.85, 1.15), (-0.1, 0.1)))
    return x * gain + shift + 0.04 * float(rng.random()) * torch.randn_like(x)


def to_net(pictures):
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


@torch.no_grad()
def look(net, pictures):
    """attribute -> probabilities [n, values]."""
    parts = [net(to_net(pictures[i:i + 50])) for i in range(0, len(pictures), 50)]
    return {name: torch.cat([F.softmax(p[name], 1) for p in parts]).numpy() for name in HEADS}


def accuracy(net):
    """On unseen painted pictures; the look of degraded ones, whose outlines are blurred, does not count."""
    out = {}
    sets = [load_set(WORK, f"test-{name}") for name in SETS]
    seen = [look(net, pictures) for pictures, _ in sets]
    for name in HEADS:
        pairs = [(said(a, name), row.argmax()) for (_, described), s in zip(sets, seen) for a, row in zip(described, s[name])
                 if not (name == "look" and a["degraded"])]
        pairs = [(want, got) for want, got in pairs if want >= 0]
        out[name] = round(float(np.mean([want == got for want, got in pairs])), 4)
    return out


def load():
    net = Classifier()
    net.load_state_dict(torch.load(WORK / "classifier.pt"))
    return net.eval()


def main():
    if (WORK / "classifier.pt").exists():
        return
    workers.start()
    torch.manual_seed(8)
    net = Classifier().to(torch.bfloat16)
    trainer = Trainer(net, [(list(net.parameters()), RATE)], STEPS, decay=0.99, weight_decay=1e-3)
    sets = [load_set(WORK, name) for name in SETS]
    rng, losses = np.random.default_rng([8, workers.rank]), []
    while trainer.step < STEPS:
        chosen = [(k, int(rng.integers(len(sets[k][1])))) for k in rng.integers(2, size=BATCH // workers.world)]
        x = softened(to_net(np.stack([sets[k][0][i] for k, i in chosen])), rng)
        out = net(x.bfloat16())
        loss = sum(F.cross_entropy(out[name].float(), torch.tensor([said(sets[k][1][i], name) for k, i in chosen]), ignore_index=-1)
                   for name in HEADS)
        losses.append(trainer.update(loss))
        if trainer.step % 100 == 0 and workers.rank == 0:
            print(trainer.step, round(float(np.mean(losses[-100:])), 4), flush=True)
    workers.finish()
    net = trainer.averaged(net).eval()
    torch.save(net.state_dict(), WORK / "classifier.pt")
    print(accuracy(net), flush=True)


if __name__ == "__main__":
    main()
