"""UNet and text encoder together, or a finished pair fine-tuned on the other look.

    python train_unet.py sd | aom | aom2 | sd3 | aom3        those with a number: further, on later pictures
"""
import math
import sys
import time
from typing import NamedTuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import schedule
import workers
from attributes import caption, settled
from dataset import load_set
from encode import SCALE
from master import Trainer
from paths import WORK
from sampling import sample
from sheet import save_sheet
from text import TextEncoder
from train_vae import DECODER, ENCODER, bytes_of
from unet import UNet
from vae import AutoencoderKL
from vocabulary import Rows

WIDTHS = (64, 64, 64, 32)
WIDTH = 64


class Stage(NamedTuple):
    steps: int
    batch: int  # pictures a step
    rate: float  # of learning
    flat: float  # part of the steps before it falls
    warm: int  # steps
    decay: float  # of the average
    start: str | None = None
    early: float = 1  # see weight
    said: dict = {}  # how pictures are captioned
    third: bool = False  # of the third training: a hand's side goes with its gesture and counts more, times and noise favour words


SAID2 = dict(quality=0.6, hands=0.6, named=0.8, bare=0.4)
SAID3 = dict(quality=0.8, hands=0.9, named=0.8, bare=0.4, told=0.7)
STAGES = {
    "sd": Stage(1290, 24, 1.5e-3, 0.93, 150, 0.98),
    "aom": Stage(200, 12, 1e-3, 0.2, 20, 0.97, "unet-sd"),
    "aom2": Stage(500, 12, 1e-3, 0.5, 20, 0.98, "unet-aom", 15, SAID2),
    "sd3": Stage(3100, 12, 1e-3, 0.75, 20, 0.98, "unet-sd", 4, SAID3, True),
    "aom3": Stage(2600, 12, 1e-3, 0.75, 20, 0.98, "unet-aom2", 4, SAID3, True),
}
SAVE, TEST = 50, 250  # steps
HANDS = 14  # the row of the latent from which on hands are raised; they count three times


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.unet, self.text, self.rows = UNet(WIDTHS, WIDTH), TextEncoder(WIDTH), Rows(WIDTH)

    def context(self, captions):
        return self.text(self.rows(captions))

    def forward(self, x, t, captions):
        return self.unet(x, t, self.context(captions))

    def parts(self):
        return {"unet": self.unet.state_dict(), "text": self.text.state_dict(), "rows": self.rows.full(),
                "table": self.rows.table.detach()}


def load_model(name):
    state = torch.load(WORK / f"{name}.pt")
    model = Model()
    model.unet.load_state_dict(state["unet"])
    model.text.load_state_dict(state["text"])
    with torch.no_grad():
        model.rows.table.copy_(state["table"])
    return model


def noised(x, t, noise):
    a = torch.tensor(schedule.ALPHA_BAR, dtype=torch.float32, device=x.device)[t][:, None, None, None]
    return a.sqrt() * x + (1 - a).sqrt() * noise


def offset(x, t):
    """Noise that is the same over large parts of a picture, [n, 4, h, w], where sigma is above 1; whole from 4 on.

    The last step of the schedule still shows a ground's mean through plain noise, and later ones a raised hand; a
    network that reads them there finds nothing to read in the pure noise that sampling starts from. With this it
    has to read the words.
    """
    n = len(x)
    whole = torch.randn(n, 4, 1, 1, device=x.device)
    parts = sum(F.interpolate(torch.randn(n, 4, *cells, device=x.device), size=x.shape[2:], mode="bilinear") for cells in ((3, 2), (6, 4)))
    amount = (schedule.SIGMA.to(t.device)[t].log() / math.log(4)).clamp(0, 1)
    return 0.2 * amount[:, None, None, None] * (whole + parts)


def times(n, device):
    """Half of them even, half of the last three tenths of the schedule, where words decide."""
    t = torch.randint(0, schedule.STEPS, (n,), device=device)
    return torch.where(torch.rand(n, device=device) < 0.5, t, schedule.STEPS - 1 - t * 3 // 10)


def weight(t, early=1):
    """min-SNR weighting, gamma 5; times sigma between 1 and early, where words decide colours, grounds and poses."""
    sigma = schedule.SIGMA.to(t.device)[t]
    snr = sigma.pow(-2)
    return snr.clamp(max=5) / snr * sigma.clamp(1, early)


@torch.no_grad()
def test_loss(model, latents, described):
    """The same noise, times and captions every time; whole, and in four quarters of the schedule."""
    made = torch.Generator().manual_seed(9)
    rng = np.random.default_rng(77)
    n = 100
    x, noise = latents[:n].to(workers.DEVICE), torch.randn(n, *latents.shape[1:], generator=made).to(workers.DEVICE)
    t = (torch.arange(n) * 10 + 5).to(workers.DEVICE)
    captions = [caption(a, rng) for a in described[:n]]
    error = torch.cat([(model(noised(x, t, noise)[i:i + 25], t[i:i + 25], captions[i:i + 25]) - noise[i:i + 25])
                       .pow(2).mean((1, 2, 3)) for i in range(0, n, 25)])
    return float((error * weight(t)).mean()), [round(float(e.mean()), 3) for e in error.split(25)]


@torch.no_grad()
def sample_sheet(model, path, decoder):
    """Eight pictures of the weights as they are: is it learning what the words say?"""
    vae = AutoencoderKL(ENCODER, DECODER)
    vae.load_state_dict(torch.load(WORK / f"{decoder}.pt"), strict=False)
    vae = vae.to(workers.DEVICE)
    prompts = ("hatsune miku", "hatsune miku, waving", "pink hair, short hair, night", "blue hair, twintails, white background")
    latents = torch.cat([sample(model.unet, model.context([p]), model.context([""]), (1, 2), "Euler a", 15, 7.0, (4, 24, 16))
                         for p in prompts])
    save_sheet(bytes_of(vae.decode(latents / SCALE)), 8, path)


def main(name):
    stage = STAGES[name]
    finished = WORK / f"unet-{name}.pt"
    if finished.exists():
        return
    workers.start(1 if stage.third else None)  # two stages of it run side by side
    torch.manual_seed(0)
    model = load_model(stage.start) if stage.start else Model()
    net = model.to(workers.DEVICE, torch.bfloat16)
    skipped = set(map(id, net.text.encoder.layers[-1].parameters()))  # clip skip 2 never runs the last layer
    params = [p for p in [*net.unet.parameters(), *net.text.parameters()] if id(p) not in skipped]
    trainer = Trainer(net, [(params, stage.rate), ([net.rows.table], 2 * stage.rate)], stage.steps, decay=stage.decay,
                      flat=stage.flat, warm=stage.warm)
    trainer.resume(WORK / f"unet-{name}.state")
    latents, described = torch.load(WORK / f"latents-{name}.pt").float(), load_set(WORK, name)[1]
    unseen = torch.load(WORK / f"latents-test-{name}.pt").float(), load_set(WORK, f"test-{name}")[1]
    taught = [i for i, a in enumerate(described) if not stage.third or settled(a)]
    rng = np.random.default_rng([4, workers.rank, trainer.step])
    torch.manual_seed(1000 * trainer.step + workers.rank)
    losses, begun = [], time.time()
    while trainer.step < stage.steps:
        chosen = rng.choice(taught, size=stage.batch // workers.world)
        captions = ["" if rng.random() < 0.1 else caption(described[i], rng, **stage.said) for i in chosen]
        x = latents[chosen].to(workers.DEVICE)
        t = times(len(x), x.device) if stage.third else torch.randint(0, schedule.STEPS, (len(x),), device=x.device)
        noise = torch.randn_like(x) + (offset(x, t) if stage.third else 0)
        error = (net(noised(x, t, noise).bfloat16(), t, captions).float() - noise).pow(2)
        if stage.third:
            error = torch.cat([error[:, :, :HANDS], 3 * error[:, :, HANDS:]], 2)
        error = error.mean((1, 2, 3))
        losses.append(trainer.update((error * weight(t, stage.early)).mean()))
        if workers.rank == 0 and trainer.step % 50 == 0:
            print(f"{name} step {trainer.step} loss {np.mean(losses[-50:]):.4f} {time.time() - begun:.0f} s", flush=True)
        if workers.rank == 0 and trainer.step % SAVE == 0:
            trainer.save(WORK / f"unet-{name}.state")
        if workers.rank == 0 and trainer.step % TEST == 0:
            now = trainer.averaged(net)
            torch.save({**now.parts(), "step": trainer.step}, WORK / f"unet-{name}-now.pt")
            print(f"{name} step {trainer.step} test {test_loss(now, *unseen)}", flush=True)
            sample_sheet(now, WORK / f"unet-{name}-{trainer.step}.png", "vae-decoder" if stage.third else "vae-white")
    workers.finish()
    final = trainer.averaged(net)
    print(f"{name} END step {trainer.step} test {test_loss(final, *unseen)}", flush=True)
    torch.save({**final.parts(), "step": trainer.step}, finished)


if __name__ == "__main__":
    main(sys.argv[1])
