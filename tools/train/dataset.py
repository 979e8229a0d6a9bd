"""Painted pictures kept in a folder: NAME.npy (uint8 [n, 192, 128, 3]) and NAME.json (attributes)."""
import json
import multiprocessing
import os

import cv2
import numpy as np

import attributes
from painter import H, W, paint

CHUNK = 125


def paint_chunk(job):
    seed, look, kind = job
    cv2.setNumThreads(1)
    rng = np.random.default_rng(seed)
    drawn = [attributes.draw(rng, look, **kind) for _ in range(CHUNK)]
    return np.stack([paint(a, rng) for a in drawn]), drawn


def paint_set(folder, name, look, count, seed, **kind):
    """Paints what is not there yet; count is rounded up to whole chunks."""
    pictures, described = folder / f"{name}.npy", folder / f"{name}.json"
    if described.exists():
        return
    jobs = [((seed, k), look, kind) for k in range(-(-count // CHUNK))]
    out = np.lib.format.open_memmap(pictures, "w+", np.uint8, (len(jobs) * CHUNK, H, W, 3))
    drawn = []
    with multiprocessing.Pool(os.cpu_count()) as pool:
        for k, (images, described_chunk) in enumerate(pool.imap(paint_chunk, jobs)):
            out[k * CHUNK:(k + 1) * CHUNK] = images
            drawn += described_chunk
    out.flush()
    described.write_text(json.dumps(drawn))


def load_set(folder, name):
    return np.load(folder / f"{name}.npy", mmap_mode="r"), json.loads((folder / f"{name}.json").read_text())


def paint_all(folder):
    """The sets of the first training."""
    folder.mkdir(parents=True, exist_ok=True)
    paint_set(folder, "test-sd", "sd", 250, 901)
    paint_set(folder, "test-aom", "aom", 250, 902)
    paint_set(folder, "sd", "sd", 7000, 1, degraded=0.15)
    paint_set(folder, "aom", "aom", 6000, 2, degraded=0.25)


def paint_second(folder):
    """The sets of the second training: more composition, softer colours, faults without washed colours, fewer wrong hands."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = dict(jitter=1.5, fault="blotched", degraded=0.2, wrong_hands=0.2)
    soft = dict(kind, colour=0.9)
    paint_set(folder, "test-sd2", "sd", 250, 903, **kind)
    paint_set(folder, "test-aom2", "aom", 250, 904, **soft)
    paint_set(folder, "aom2", "aom", 2000, 4, **soft)
    paint_set(folder, "sd2", "sd", 2000, 3, **kind)


def paint_third(folder):
    """The sets of the third training: large hands on either side, few of them wrong."""
    folder.mkdir(parents=True, exist_ok=True)
    kind = dict(jitter=1.7, fault="blotched", degraded=0.15, wrong_hands=0.15, reach=1.4)
    soft = dict(kind, colour=0.9)
    paint_set(folder, "test-sd3", "sd", 250, 905, **kind)
    paint_set(folder, "test-aom3", "aom", 250, 906, **soft)
    paint_set(folder, "sd3", "sd", 6000, 5, **kind)
    paint_set(folder, "aom3", "aom", 5000, 6, **soft)
