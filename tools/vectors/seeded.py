"""Values that Python and C make alike from a seed: torch's CUDA normals (host/base/philox.h).

The parameters of a test checkpoint are not stored; tests/seeded_source.c makes the same ones.
"""
import numpy as np
import torch

from sd1_networks import SIZES, Checkpoint

M0, M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
LOW = np.uint64(0xFFFFFFFF)


def philox(seed, draw, count):
    """Words 0 and 1 of Philox4x32-10 for elements 0 .. count - 1."""
    u64 = np.uint64
    element = np.arange(count, dtype=u64)
    c0 = np.full(count, u64(draw) & LOW, dtype=u64)
    c1 = np.full(count, u64(draw) >> u64(32), dtype=u64)
    c2, c3 = element & LOW, element >> u64(32)
    k0, k1 = int(seed) & 0xFFFFFFFF, int(seed) >> 32
    for _ in range(10):
        p0, p1 = c0 * M0, c2 * M1
        c0, c1, c2, c3 = ((p1 >> u64(32)) ^ c1 ^ u64(k0), p1 & LOW,
                          (p0 >> u64(32)) ^ c3 ^ u64(k1), p0 & LOW)
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c0, c1


def normal64(seed, draw, count):
    x, y = (word.astype(np.float64) for word in philox(seed, draw, count))
    u = x * float(np.float32(2.0**-32)) + float(np.float32(2.0**-33))
    step = np.array(0x30C90FDB, dtype=np.uint32).view(np.float32)  # 2 pi / 2^32
    v = y * float(step) + float(step) / 2
    return np.sqrt(-2 * np.log(u)) * np.sin(v)


def normal(seed, draw, count):
    return normal64(seed, draw, count).astype(np.float32)


def fnv1a(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = (h ^ byte) * 0x100000001B3 % 2**64
    return h


def parameter(checkpoint, name, kind, shape):
    """float32 values of NAME.weight (kind 0) or NAME.bias (kind 1)."""
    count = int(np.prod(shape))
    values = normal(fnv1a(checkpoint + ":" + name), kind, count)
    if kind == 1:
        return (values * np.float32(0.1)).reshape(shape)
    if len(shape) == 1:
        return (np.float32(1) + values * np.float32(0.1)).reshape(shape)
    if "embedding" in name:
        return (values * np.float32(0.5)).reshape(shape)
    return (values * np.float32(1 / np.sqrt(count // shape[0]))).reshape(shape)


def checkpoint(which):
    """A checkpoint of SIZES[which] in float64, holding float32 values."""
    with torch.device("meta"):
        net = Checkpoint(SIZES[which])
    state = {}
    for key, value in net.state_dict().items():
        name, kind = key.rsplit(".", 1)
        array = parameter(which, name, int(kind == "bias"), tuple(value.shape))
        state[key] = torch.from_numpy(array).double()
    net.load_state_dict(state, assign=True)
    return net.eval().requires_grad_(False)


def tensor(seed, draw, shape):
    """Normal values as a float64 tensor."""
    count = int(np.prod(shape))
    return torch.from_numpy(normal(seed, draw, count)).double().reshape(shape)


def ids(seed, chunks, vocabulary, positions=77):
    """Token ids in [0, vocabulary)."""
    words = philox(seed, 0, chunks * positions)[0]
    return torch.from_numpy((words % np.uint64(vocabulary)).astype(np.int64)).reshape(chunks, positions)
