"""Writes tests/vectors/model/schedules.bin and ddim.bin: noise levels by torch and k-diffusion.

schedules.bin, float32: for fp32 and then era tables: 1000 sigmas; then for each n of STEPS, for
equal steps of t and then Karras: n sigmas, n timesteps; then 16 timesteps rounded to levels.
ddim.bin, int32: for each n of DDIM_STEPS: the count of timesteps, and they, falling.
"""
import math
import pathlib

import numpy as np
import torch

from k_diffusion_alone import external, sampling

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "model"
STEPS = (1, 2, 7, 20, 30, 51, 150)
DDIM_STEPS = (1, 2, 3, 9, 10, 20, 27, 30, 36, 50, 100, 333, 500)


def alphas():
    """ldm's linear schedule of squared roots; float64, stored as float32."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64)**2
    return torch.cumprod(1 - betas, dim=0).float()


def denoiser(model, era, quantize=False):
    abar = alphas()
    wrapped = external.DiscreteEpsDDPMDenoiser(model, abar, quantize=quantize)
    if era:  # a halved module: each operation rounds to fp16, the power is fp32 under autocast
        half = abar.half()
        wrapped.sigmas = ((1 - half) / half).float()**0.5
        wrapped.log_sigmas = wrapped.sigmas.log()
    return wrapped


def sigmas(wrapped, n, karras, discard=False):
    count = n + 1 if discard else n
    if karras:
        out = sampling.get_sigmas_karras(
            count, wrapped.sigma_min.item(), wrapped.sigma_max.item(), device="cpu")
    else:
        out = wrapped.get_sigmas(count)
    return torch.cat([out[:-2], out[-1:]]) if discard else out


def ddim_timesteps(n):
    stride = 1000 // n
    valid = 999 / stride
    if valid == math.floor(valid):
        stride = 1000 // (int(valid) + 1)
    return np.asarray(list(range(0, 1000, stride)))[::-1] + 1


if __name__ == "__main__":
    out = []
    for era in (False, True):
        plain = denoiser(None, era)
        rounded = denoiser(None, era, quantize=True)
        out.append(plain.sigmas)
        for n in STEPS:
            for karras in (False, True):
                s = sigmas(plain, n, karras)[:-1]
                out += [s, plain.sigma_to_t(s)]
        out.append(rounded.sigma_to_t(sigmas(plain, 16, True)[:-1]).float())
    np.concatenate([x.numpy().astype("<f4") for x in out]).tofile(OUT / "schedules.bin")
    ddim = []
    for n in DDIM_STEPS:
        t = ddim_timesteps(n)
        ddim += [len(t), *t]
    np.array(ddim, dtype="<i4").tofile(OUT / "ddim.bin")
