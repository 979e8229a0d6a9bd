"""Sigmas, Euler a and DPM++ 2M Karras with guidance, as the web UI ran them before its version 1.7."""
import math

import numpy as np
import torch

import schedule
from noise import normal


def era_table():
    """The cumulative product rounded to fp16, and the quotient too."""
    a = torch.tensor(schedule.ALPHA_BAR, dtype=torch.float32).half()
    u = (1 - a.float()).half()
    return (u.float() / a.float()).half().float().sqrt()


SIGMAS = era_table()
LOGS = SIGMAS.log()


def sigma_at(t):
    low, high, w = t.floor().long(), t.ceil().long(), t - t.floor()
    return ((1 - w) * LOGS[low] + w * LOGS[high]).exp()


def time_at(sigma):
    log = sigma.log()
    low = max(0, min(998, int((LOGS <= log).sum()) - 1))
    w = ((LOGS[low] - log) / (LOGS[low] - LOGS[low + 1])).clamp(0, 1)
    return float((1 - w) * low + w * (low + 1))


def steps_of(sampler, steps):
    if sampler == "Euler a":
        sigmas = sigma_at(torch.linspace(999, 0, steps))
    elif sampler == "DPM++ 2M Karras":
        top, low = float(SIGMAS[-1]) ** (1 / 7), float(SIGMAS[0]) ** (1 / 7)
        sigmas = (top + torch.linspace(0, 1, steps) * (low - top)) ** 7
    else:
        raise SystemExit(f"sampler {sampler!r}: Euler a and DPM++ 2M Karras are known")
    return torch.cat([sigmas, torch.zeros(1)])


@torch.no_grad()
def sample(unet, positive, negative, seeds, sampler, steps, cfg, shape):
    """positive, negative [1, s, c]; one picture a seed. Returns latents [n, 4, h, w]."""
    def draw(k):
        return torch.from_numpy(np.stack([normal(seed, k, shape) for seed in seeds])).to(positive.device)

    sigmas = steps_of(sampler, steps)
    n = len(seeds)
    context = torch.cat([positive.expand(n, -1, -1), negative.expand(n, -1, -1)])
    x, before = draw(0) * sigmas[0], None
    for i in range(steps):
        s, following = sigmas[i], float(sigmas[i + 1])
        scaled = x / math.sqrt(float(s) ** 2 + 1)
        eps = unet(torch.cat([scaled, scaled]), torch.full((2 * n,), time_at(s), device=x.device), context)
        s = float(s)
        with_prompt, without = (torch.cat([x, x]) - s * eps).chunk(2)
        clean = without + (with_prompt - without) * cfg
        if sampler == "Euler a":
            up = min(following, math.sqrt(max(0.0, following ** 2 * (s ** 2 - following ** 2) / s ** 2)))
            down = math.sqrt(following ** 2 - up ** 2)
            x = x + (x - clean) / s * (down - s)
            if following > 0:
                x = x + draw(i + 1) * up
        elif following == 0:
            x = clean
        else:
            h = math.log(s / following)
            mixed = clean
            if before is not None:
                r = math.log(float(sigmas[i - 1]) / s) / h
                mixed = (1 + 1 / (2 * r)) * clean - before / (2 * r)
            x = following / s * x - math.expm1(-h) * mixed
            before = clean
    return x
