"""Turns a finished set into the files that the third training starts from, to train it further.

    python restore.py [--from weights/mini]

The values are those of the files, rounded to fp16. What exists already is left alone.
"""
import argparse
import pathlib

import torch
from safetensors.torch import load_file

from paths import MINI, WORK
from pipeline import TEXT, under
from vocabulary import words


def model_of(state, step):
    text = under(state, TEXT)
    del text["embeddings.position_ids"]
    rows = text.pop("embeddings.token_embedding.weight")
    return {"unet": under(state, "model.diffusion_model."), "text": text, "rows": rows, "table": rows[words()], "step": step}


def lora_of(tensors):
    """kohya name -> (down, up), as training keeps them."""
    names = [k.removesuffix(".alpha") for k in tensors if k.endswith(".alpha")]
    return {n: tuple(tensors[f"{n}.lora_{part}.weight"].float().flatten(1) for part in ("down", "up")) for n in names}


def main():
    parser = argparse.ArgumentParser(description="Takes a finished set apart again.")
    parser.add_argument("--from", dest="folder", type=pathlib.Path, default=MINI)
    folder = parser.parse_args().folder
    base = torch.load(folder / "sd-v1-4.ckpt")
    other = load_file(folder / "AOM3.safetensors")
    inner = under(base["state_dict"], "first_stage_model.")
    found = {
        "unet-sd": model_of(base["state_dict"], base["global_step"]), "unet-aom2": model_of(other, 0),
        "vae-white": inner, "vae-decoder": inner, "flat2": lora_of(load_file(folder / "flat2.safetensors")),
    }
    WORK.mkdir(parents=True, exist_ok=True)
    for name, value in found.items():
        if not (WORK / f"{name}.pt").exists():
            torch.save(value, WORK / f"{name}.pt")


if __name__ == "__main__":
    main()
