"""UNet and text encoder together, or a finished pair fine-tuned on the other look.

    python train_unet.py sd | aom | aom2        the last: aom trained further, on pictures of its own
"""
import sys
import time

import numpy as np
import torch
import torch.nn as nn

import schedule
import workers
from attributes import caption
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
STAGES = {  # steps, pictures a step, learning rate, flat part, warm-up, decay of the average, start
    "sd": (1290, 24, 1.5e-3, 0.93, 150, 0.98, None),
    "aom": (200, 12, 1e-3, 0.2, 20, 0.97, "unet-sd"),
    "aom2": (500, 12, 1e-3, 0.5, 20, 0.98, "unet-aom"),
}
FURTHER = dict(quality=0.6, hands=0.6, named=0.8, bare=0.4)  # how the pictures of aom2 are captioned
SAVE, TEST = 50, 250  # steps


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


def weight(t, early=False):
    """min-SNR weighting, gamma 5. early: times sigma above 1, where words decide colours and grounds."""
    sigma = schedule.SIGMA.to(t.device)[t]
    snr = sigma.pow(-2)
    return snr.clamp(max=5) / snr * (sigma.clamp(min=1) if early else 1)


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
def sample_sheet(model, path):
    """Eight pictures of the weights as they are: is it learning what the words say?"""
    vae = AutoencoderKL(ENCODER, DECODER)
    vae.load_state_dict(torch.load(WORK / "vae-white.pt"), strict=False)
    vae = vae.to(workers.DEVICE)
    prompts = ("hatsune miku", "hatsune miku, waving", "pink hair, short hair, night", "blue hair, twintails, white background")
    latents = torch.cat([sample(model.unet, model.context([p]), model.context([""]), (1, 2), "Euler a", 15, 7.0, (4, 24, 16))
                         for p in prompts])
    save_sheet(bytes_of(vae.decode(latents / SCALE)), 8, path)


def main(name):
    steps, batch, rate, flat, warm, decay, start = STAGES[name]
    finished = WORK / f"unet-{name}.pt"
    if finished.exists():
        return
    workers.start()
    torch.manual_seed(0)
    model = load_model(start) if start else Model()
    further = name == "aom2"
    say = FURTHER if further else {}
    net = model.to(workers.DEVICE, torch.bfloat16)
    skipped = set(map(id, net.text.encoder.layers[-1].parameters()))  # clip skip 2 never runs the last layer
    params = [p for p in [*net.unet.parameters(), *net.text.parameters()] if id(p) not in skipped]
    trainer = Trainer(net, [(params, rate), ([net.rows.table], 2 * rate)], steps, decay=decay, flat=flat, warm=warm)
    trainer.resume(WORK / f"unet-{name}.state")
    latents, described = torch.load(WORK / f"latents-{name}.pt").float(), load_set(WORK, name)[1]
    unseen = torch.load(WORK / f"latents-test-{name}.pt").float(), load_set(WORK, f"test-{name}")[1]
    rng = np.random.default_rng([4, workers.rank, trainer.step])
    torch.manual_seed(1000 * trainer.step + workers.rank)
    losses, begun = [], time.time()
    while trainer.step < steps:
        chosen = rng.integers(len(latents), size=batch // workers.world)
        captions = ["" if rng.random() < 0.1 else caption(described[i], rng, **say) for i in chosen]
        x = latents[chosen].to(workers.DEVICE)
        t = torch.randint(0, schedule.STEPS, (len(x),), device=x.device)
        noise = torch.randn_like(x)
        error = (net(noised(x, t, noise).bfloat16(), t, captions).float() - noise).pow(2).mean((1, 2, 3))
        losses.append(trainer.update((error * weight(t, further)).mean()))
        if workers.rank == 0 and trainer.step % 50 == 0:
            print(f"{name} step {trainer.step} loss {np.mean(losses[-50:]):.4f} {time.time() - begun:.0f} s", flush=True)
        if workers.rank == 0 and trainer.step % SAVE == 0:
            trainer.save(WORK / f"unet-{name}.state")
        if workers.rank == 0 and trainer.step % TEST == 0:
            now = trainer.averaged(net)
            torch.save({**now.parts(), "step": trainer.step}, WORK / f"unet-{name}-now.pt")
            print(f"{name} step {trainer.step} test {test_loss(now, *unseen)}", flush=True)
            sample_sheet(now, WORK / f"unet-{name}-{trainer.step}.png")
    workers.finish()
    final = trainer.averaged(net)
    print(f"{name} END step {trainer.step} test {test_loss(final, *unseen)}", flush=True)
    torch.save({**final.parts(), "step": trainer.step}, finished)


if __name__ == "__main__":
    main(sys.argv[1])
