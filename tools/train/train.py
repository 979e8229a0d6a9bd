"""Trains the embedded set from nothing to the files in weights/mini. One command:

    python tools/train/train.py            MINI_WORK=DIR says where the intermediate files live
    python tools/train/train.py third      the last training alone, on the files in weights/mini

Every stage ends by steps, leaves out what it finds finished, and goes on from its last checkpoint after
an interruption. The stages of a row run side by side. Logs and sample sheets lie beside the files.
"""
import subprocess
import sys

from dataset import paint_all, paint_second, paint_third
from paths import HERE, WORK

ROWS = (
    (["train_vae.py", "half"],),
    (["train_vae.py", "full"],),
    (["encode.py"],),
    (["train_unet.py", "sd"], ["train_vae.py", "decoder"]),
    (["train_unet.py", "aom"], ["train_vae.py", "crisp"]),
    (["train_extra.py", "flat"],),
)
SECOND = (
    (["encode.py", "second"],),
    (["train_unet.py", "aom2"],),
    (["train_extra.py", "flat2"],),
)
THIRD = (
    (["encode.py", "third"],),
    (["train_unet.py", "sd3"], ["train_unet.py", "aom3"]),
    (["train_vae.py", "decoder3"], ["train_extra.py", "easy"]),
    (["train_vae.py", "crisp3"], ["train_extra.py", "hands"]),
    (["train_extra.py", "flat3"], ["classifier.py"]),
    (["export.py"],),
    (["judge.py"],),
)


def run_side_by_side(row):
    running = []
    for script, *args in row:
        name = "-".join([script.removesuffix(".py"), *args])
        print(name, flush=True)
        log = open(WORK / f"{name}.log", "a")
        running.append((name, subprocess.Popen([sys.executable, HERE / script, *args], stdout=log, stderr=log)))
    for name, process in running:
        if process.wait():
            sys.exit(f"{name} ended with {process.returncode}; see {WORK / name}.log")


def main():
    rows = ROWS + SECOND + THIRD
    if sys.argv[1:] == ["third"]:
        rows = ((["restore.py"],), *THIRD)
    else:
        print("painting", flush=True)
        paint_all(WORK)
        paint_second(WORK)
    paint_third(WORK)
    for row in rows:
        run_side_by_side(row)


if __name__ == "__main__":
    main()
