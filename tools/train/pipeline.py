"""Prompt to picture in PyTorch, from the files of a weights folder: the independent reference.

    python pipeline.py --prompt "hatsune miku" --model AOM3 --vae orangemix.vae --seed 1 --out pictures
"""
import argparse
import pathlib
import re

import cv2
import torch
from safetensors.torch import load_file

import lora
from paths import MINI
from sampling import sample
from text import TextEncoder
from tokenizer import END, LENGTH, START, pieces
from unet import UNet
from vae import AutoencoderKL

TEXT = "cond_stage_model.transformer.text_model."


def under(state, prefix):
    return {k[len(prefix):]: v.float() for k, v in state.items() if k.startswith(prefix)}


def unet_from(state):
    widths = [state[f"input_blocks.{k}.0.out_layers.3.weight"].shape[0] for k in (1, 4, 7, 10)]
    unet = UNet(widths, state["input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"].shape[1])
    unet.load_state_dict(state)
    return unet.eval()


def vae_from(state):
    encoder = [state[f"encoder.down.{k}.block.0.conv2.weight"].shape[0] for k in range(4)]
    decoder = [state[f"decoder.up.{k}.block.0.conv2.weight"].shape[0] for k in range(4)]
    vae = AutoencoderKL(encoder, decoder)
    vae.load_state_dict(state)
    return vae.eval()


class Pipeline:
    def __init__(self, folder=MINI, model="sd-v1-4", vae=None, device="cpu"):
        self.folder, self.device = pathlib.Path(folder), device
        path = next(p for p in self.folder.iterdir() if p.stem == model and p.suffix in (".ckpt", ".safetensors"))
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path)["state_dict"]
        self.unet = unet_from(under(state, "model.diffusion_model.")).to(device)
        text = under(state, TEXT)
        del text["embeddings.position_ids"]
        self.table = text.pop("embeddings.token_embedding.weight").to(device)
        layers = 1 + max(int(k.split(".")[2]) for k in text if k.startswith("encoder.layers."))
        self.text = TextEncoder(self.table.shape[1], layers).to(device)
        self.text.load_state_dict(text)
        inside = under(state, "first_stage_model.")
        if vae:
            inside = torch.load(self.folder / f"{vae.removesuffix('.pt')}.pt")["state_dict"]
            inside = {k: v.float() for k, v in inside.items() if not k.startswith("loss")}
        self.vae = vae_from(inside).to(device)
        self.inversions = {"bad-hands-5": torch.load(self.folder / "bad-hands-5.pt")["string_to_param"]["*"],
                           "EasyNegative": load_file(self.folder / "EasyNegative.safetensors")["emb_params"]}

    def context(self, prompt, clip_skip=2):
        rows, rest = [self.table[START][None]], prompt
        names = "|".join(re.escape(n) for n in sorted(self.inversions, key=len, reverse=True))
        for part in re.split(f"({names})", rest, flags=re.IGNORECASE):
            hit = next((v for n, v in self.inversions.items() if n.lower() == part.lower()), None)
            rows.append(hit.float().to(self.device) if hit is not None else self.table[pieces(part)])
        rows = torch.cat(rows)[:LENGTH - 1]
        rows = torch.cat([rows, self.table[END].expand(LENGTH - len(rows), -1)])
        with torch.no_grad():
            return self.text(rows[None], clip_skip)

    @torch.no_grad()
    def pictures(self, prompt, negative="", seeds=(1,), steps=20, sampler="Euler a", cfg=7.0, clip_skip=2,
                 size=(128, 192)):
        """uint8 [n, h, w, 3]."""
        tags = re.findall(r"<lora:([^:>]+):([^>]+)>", prompt)
        for name, scale in tags:
            self.add_lora(name, float(scale))
        prompt = re.sub(r"<[^>]*>", "", prompt)
        latents = sample(self.unet, self.context(prompt, clip_skip), self.context(negative, clip_skip), list(seeds),
                         sampler, steps, cfg, (4, size[1] // 8, size[0] // 8))
        for name, scale in tags:
            self.add_lora(name, -float(scale))
        y = torch.cat([self.vae.decode(z * (1 / 0.18215)) for z in latents.split(8)])
        return (255 * ((y + 1) / 2).clamp(0, 1)).byte().permute(0, 2, 3, 1).cpu().numpy()

    def add_lora(self, name, scale):
        tensors = load_file(self.folder / f"{name}.safetensors")
        pairs = {k.removesuffix(".alpha"): [tensors[k.replace("alpha", f"lora_{part}.weight")].flatten(1).float()
                                            for part in ("down", "up")] for k in tensors if k.endswith(".alpha")}
        lora.apply(self.unet, pairs, scale)


def main():
    parser = argparse.ArgumentParser(description="Makes pictures from prompts with PyTorch.")
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative", default="")
    parser.add_argument("--model", default="sd-v1-4")
    parser.add_argument("--vae")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--sampler", default="Euler a")
    parser.add_argument("--cfg", type=float, default=7.0)
    parser.add_argument("--clip-skip", type=int, default=2)
    parser.add_argument("--weights", type=pathlib.Path, default=MINI)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("."))
    a = parser.parse_args()
    seeds = range(a.seed, a.seed + a.count)
    images = Pipeline(a.weights, a.model, a.vae).pictures(a.prompt, a.negative, seeds, a.steps, a.sampler, a.cfg, a.clip_skip)
    a.out.mkdir(parents=True, exist_ok=True)
    for seed, image in zip(seeds, images):
        cv2.imwrite(str(a.out / f"{seed}.png"), image[..., ::-1])


if __name__ == "__main__":
    main()
