"""The autoencoder: half size first (the outer level skipped), then full size; then the decoder alone.

    python train_vae.py half | full | decoder | crisp | decoder3 | crisp3
"""
import sys
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

import workers
from dataset import load_set
from master import Trainer
from paths import WORK
from sheet import save_sheet
from vae import AutoencoderKL

ENCODER, DECODER = (32, 32, 32, 64), (64, 32, 32, 64)
KL = {"half": 1e-4, "full": 2e-5}
STAGES = {  # steps, pictures a step, learning rate, start, painted sets
    "half": (1500, 16, 2e-3, None, ("sd", "aom")),
    "full": (1000, 4, 1.5e-3, "vae-half", ("sd", "aom")),
    "decoder": (2000, 2, 1e-3, "vae-white", ("sd", "aom")),
    "crisp": (500, 2, 8e-4, "vae-decoder", ("aom",)),
    "decoder3": (1200, 2, 5e-4, "vae-decoder", ("sd3", "aom3")),
    "crisp3": (500, 2, 5e-4, "vae-decoder3", ("aom3",)),
}


def half_head():
    return nn.Sequential(nn.GroupNorm(4, DECODER[1]), nn.SiLU(), nn.Conv2d(DECODER[1], 3, 3, padding=1))


def to_net(pictures):
    x = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1
    return x.contiguous().to(workers.DEVICE)


def even_by_hair(described):
    """Indices and probabilities that draw every hair colour equally often."""
    hair = [a["hair"] for a in described]
    count = {h: hair.count(h) for h in set(hair)}
    p = np.array([1 / count[h] for h in hair])
    return p / p.sum()


def difference(y, x, half):
    """L1 and squares of the pixels, of their slopes, and of the means of areas: colours first."""
    d = y.float() - x
    loss = d.abs().mean() + 2 * d.pow(2).mean()
    loss = loss + 0.5 * ((d[..., 1:] - d[..., :-1]).abs().mean() + (d[..., 1:, :] - d[..., :-1, :]).abs().mean())
    return loss + 2 * F.avg_pool2d(d, 4 if half else 8).abs().mean()


def psnr(y, x):
    return float((-10 * ((y.clamp(-1, 1) - x) / 2).pow(2).mean((1, 2, 3)).log10()).mean())


def bytes_of(y):
    return ((y.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


@torch.no_grad()
def report(vae, pictures, first, path):
    x = to_net(pictures)
    if first:
        x = F.avg_pool2d(x, 2)
    z = torch.cat([vae.encode(p, first)[0] for p in x.split(8)])
    y = torch.cat([vae.decode(p, first) for p in z.split(8)])
    spread = torch.linalg.eigvalsh(torch.cov(z.permute(1, 0, 2, 3).flatten(1))).clamp(min=0).sqrt()
    both = torch.stack([x[:12], y[:12]], 1).flatten(0, 1)
    save_sheet(bytes_of(both), 8, path)
    return psnr(y, x), [round(float(s), 3) for s in spread]


def main(stage):
    steps, batch, rate, start, names = STAGES[stage]
    finished = WORK / f"vae-{stage}.pt"
    if finished.exists():
        return
    alone = stage not in ("half", "full")
    first = 1 if stage == "half" else 0
    workers.start(1 if alone else None)
    torch.manual_seed(0)
    vae = AutoencoderKL(ENCODER, DECODER)
    if first:
        vae.decoder.half_out = half_head()
        with torch.no_grad():
            vae.quant_conv.bias[4:] = -4.0
    else:
        vae.load_state_dict(torch.load(WORK / f"{start}.pt"), strict=False)
    net = vae.to(workers.DEVICE, torch.bfloat16)
    params = list(net.parameters())
    if alone:
        net.encoder.requires_grad_(False)
        net.quant_conv.requires_grad_(False)
        params = list(net.post_quant_conv.parameters()) + list(net.decoder.parameters())
    trainer = Trainer(net, [(params, rate)], steps, decay=0.995)
    trainer.resume(WORK / f"vae-{stage}.state")
    sets = [load_set(WORK, name) for name in names]
    evenly = [even_by_hair(described) for _, described in sets]
    unseen = np.concatenate([load_set(WORK, f"test-{name}")[0][:32 // len(names)] for name in names])
    rng = np.random.default_rng([3, workers.rank, trainer.step])
    torch.manual_seed(100 * trainer.step + workers.rank)
    losses, begun = [], time.time()
    if alone:
        clean = [torch.load(WORK / f"latents-{name}.pt").float() / 0.18215 for name in names]
    while trainer.step < steps:
        chosen = [(k, rng.choice(len(evenly[k]), p=evenly[k]))
                  for k in rng.integers(len(sets), size=batch // workers.world)]
        x = to_net(np.stack([sets[k][0][i] for k, i in chosen]))
        if first:
            x = F.avg_pool2d(x, 2)
        if alone:
            z = torch.stack([clean[k][i] for k, i in chosen]).to(workers.DEVICE)
            z = z + 0.03 * 5.49 * torch.randn_like(z)
            loss = difference(net.decode(z.bfloat16()), x, False)
        else:
            mean, logvar = (t.float() for t in net.encode(x.bfloat16(), first))
            z = mean + torch.exp(0.5 * logvar) * torch.randn_like(mean)
            kl = 0.5 * (mean * mean + logvar.exp() - 1 - logvar).mean()
            loss = difference(net.decode(z.bfloat16(), first), x, first) + KL[stage] * kl
        losses.append(trainer.update(loss))
        if trainer.step % 50 == 0 and workers.rank == 0:
            print(f"{stage} step {trainer.step} loss {np.mean(losses[-50:]):.4f} {time.time() - begun:.0f} s", flush=True)
        if trainer.step % 250 == 0 and workers.rank == 0:
            trainer.save(WORK / f"vae-{stage}.state")
            good, spread = report(trainer.averaged(net), unseen, first, WORK / f"vae-{stage}.png")
            print(f"{stage} step {trainer.step} psnr {good:.2f} latent {spread}", flush=True)
    workers.finish()
    final = trainer.averaged(net)
    good, spread = report(final, unseen, first, WORK / f"vae-{stage}.png")
    print(f"{stage} END step {trainer.step} psnr {good:.2f} latent {spread}", flush=True)
    torch.save(final.state_dict(), finished)


if __name__ == "__main__":
    main(sys.argv[1])
