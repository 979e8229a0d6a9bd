"""Writes tests/vectors/model/noise.bin: normal deviates, float64.

64 of Philox (definition in double) for each of SEEDS x draws 0, 1, 7; torch's CPU generator, seed
and shapes of CPU_DRAWS, three draws each; slerp of two Philox noises [4, 6, 5] for STRENGTHS.
"""
import pathlib

import numpy as np
import torch

import seeded

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "model"
SEEDS = (0, 3272356495, 2**32 + 5, 2**64 - 1)
CPU_DRAWS = ((0, (4, 2, 2)), (0, (1, 3, 3)), (3272356495, (4, 3, 5)), (2**33 + 7, (4, 6, 8)))
STRENGTHS = (0.1, 0.5, 0.9)


def slerp(strength, low, high):
    """Along axis 1, as the web UI mixes a seed's noise with a subseed's."""
    cosine = ((low / low.norm(dim=1, keepdim=True)) * (high / high.norm(dim=1, keepdim=True))).sum(1)
    if cosine.mean() > 0.9995:
        return low * strength + high * (1 - strength)
    omega = cosine.acos().unsqueeze(1)
    return ((1 - strength) * omega).sin() / omega.sin() * low + (strength * omega).sin() / omega.sin() * high


if __name__ == "__main__":
    out = [seeded.normal64(seed, draw, 64) for seed in SEEDS for draw in (0, 1, 7)]
    for seed, shape in CPU_DRAWS:
        torch.manual_seed(seed)
        out += [torch.randn(shape).double().flatten().numpy() for _ in range(3)]
    low = torch.from_numpy(seeded.normal(5, 0, 120)).reshape(4, 6, 5).double()
    high = torch.from_numpy(seeded.normal(6, 0, 120)).reshape(4, 6, 5).double()
    out += [slerp(s, low, high).flatten().numpy() for s in STRENGTHS]
    np.concatenate(out).astype("<f8").tofile(OUT / "noise.bin")
