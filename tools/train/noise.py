"""Normal numbers as torch's CUDA generator makes them: Philox4x32-10 keyed by the seed."""
import numpy as np


def philox(seed, draw, count):
    """Words 0 and 1 of the block of each element."""
    counter = [np.full(count, draw, np.uint64), np.zeros(count, np.uint64),
               np.arange(count, dtype=np.uint64), np.zeros(count, np.uint64)]
    key = [seed & 0xFFFFFFFF, seed >> 32]
    low = np.uint64(0xFFFFFFFF)
    for turn in range(10):
        a, b = counter[0] * np.uint64(0xD2511F53), counter[2] * np.uint64(0xCD9E8D57)
        counter = [(b >> np.uint64(32)) ^ counter[1] ^ np.uint64(key[0]), b & low,
                   (a >> np.uint64(32)) ^ counter[3] ^ np.uint64(key[1]), a & low]
        key = [(key[0] + 0x9E3779B9) & 0xFFFFFFFF, (key[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return counter[0], counter[1]


def normal(seed, draw, shape):
    """The draw-th call of randn(shape) after seeding."""
    x, y = philox(seed, draw, int(np.prod(shape)))
    u = x.astype(np.float64) * 2.0 ** -32 + 2.0 ** -33
    scale = float(np.float32(2.0 ** -32 * 2 * np.pi))
    v = y.astype(np.float64) * scale + scale / 2
    return (np.sqrt(-2 * np.log(u)) * np.sin(v)).astype(np.float32).reshape(shape)


assert np.allclose(normal(0, 0, (3,)), [-0.92466259, -0.42534415, -2.6438457], atol=1e-6)
