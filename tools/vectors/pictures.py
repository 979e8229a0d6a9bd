"""Writes tests/vectors/requests/: whole requests, from infotext to picture, on a seeded checkpoint.

    python tools/vectors/pictures.py

Each PNG has its request as the web UI's `parameters`; beside it lies the last latent, float32 [4, h, w].
Prompts go through prompt.py, networks are sd1_networks.py in float64, k-diffusion samples. The checkpoint
"requests", the two inversions and the LoRA are made from seeds here and in tests/test_requests.c.
"""
import pathlib
import re

import numpy as np
import torch
from PIL import Image, PngImagePlugin

import noise
import prompt
import sampling
import schedules
import seeded
import tokens

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUT = ROOT / "tests" / "vectors" / "requests"
MERGES = ROOT / "host" / "prompt" / "vocab" / "bpe_merges.txt"
WIDTH = 64

LONG = ("hatsune miku, long teal hair in two tails, " * 5 + "(night sky:1.3), stars, a field of rape blossoms, "
        "wind, looking back at the viewer, detailed, soft light BREAK [blurry] background, city")
TIMED = "[a cat:a dog:0.5] on [grass|snow|sand], [::2] [night:4] (sky:1.2)"
INVERTED = "EasyNegative, (BAD-HANDS-5:1.2) a cat"
REQUESTS = {  # prompt, negative, and the pairs that are not the usual ones
    "emphasis": ("a (red:1.4) house, [dim] (((sky)))", "(ugly:0.6), text",
                 {"Sampler": "Euler a", "Size": "72x104", "Clip skip": 1}),
    "long": (LONG, "ugly", {"Sampler": "DPM++ 2M Karras"}),
    "and": ("a cat :1.2 AND a (white:1.3) dog AND " + LONG + " :-0.5", "ugly", {"Sampler": "Euler"}),
    "timed": (TIMED, "[ugly:text:3]", {"Sampler": "DPM2 a Karras", "Clip skip": 3}),
    "timed_doubled": (TIMED, "ugly", {"Sampler": "Heun", "Version": "v1.4.1"}),
    "timed_1_6": ("[a cat:a dog:1] [moon:2.0] [|night]", "ugly", {"Sampler": "DPM2", "Version": "v1.6.0"}),
    "inversions": (INVERTED, "easynegative bad-hands-5", {"Sampler": "LMS Karras", "Clip skip": 3}),
    "lora": ("<lora:pair:0.7:-0.4> a cat", "ugly", {"Sampler": "DPM++ 2S a", "Version": "v1.5.2"}),
    "lora_era": ("a cat<lora:pair:0.7:-0.4>", "ugly", {"Sampler": "Euler a Karras"}),
    "seeds": ("a cat", "", {"Sampler": "Euler a", "Size": "72x104", "Variation seed": 9, "Variation seed strength": 0.3,
                            "ENSD": 31337, "Eta": 0.7}),
    "ddim_short": ("a cat", LONG, {"Sampler": "DDIM"}),
    "ddim_long": (LONG, "[ugly|text]", {"Sampler": "DDIM", "Eta": 0.5}),
    "cpu_noise": ("a cat", "ugly", {"Sampler": "DPM++ 2M", "RNG": "CPU", "Version": "v1.8.0"}),
}
USUAL = {"Steps": 7, "Sampler": None, "CFG scale": 7, "Seed": 1234, "Size": "40x56", "Model": "requests", "Clip skip": 2}
INVERSIONS = [["EasyNegative", 8], ["bad-hands-5", 2]]
LORA = {"te": ("cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj", 4, 2.0),
        "unet": ("model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q", 2, 1.0)}


def infotext(positive, negative, pairs):
    last = ", ".join(f"{key}: {value}" for key, value in pairs.items() if (key, value) != ("Clip skip", 1))
    return "\n".join([positive] + ([f"Negative prompt: {negative}"] if negative else []) + [last])


def after(pairs, version):
    return [int(n) for n in re.findall(r"\d+", pairs.get("Version", "1.0"))][:2] >= version


# ---- weights ----------------------------------------------------------------------------------


def add_lora(net, positive, separate):
    """W + multiplier * alpha / rank * up down; one multiplier for both parts before 1.5."""
    for _, items in prompt.tags(positive)[1]:
        numbers = [float(n) for n in items[1:]]
        weights = {"te": numbers[0], "unet": numbers[1] if separate else numbers[0]}
        for draw, (part, (name, rank, alpha)) in enumerate(LORA.items()):
            weight = net.get_submodule(name).weight
            up = seeded.tensor(61, 2 * draw, (weight.shape[0], rank)) * 0.2
            down = seeded.tensor(61, 2 * draw + 1, (rank, weight.shape[1])) * 0.2
            weight += weights[part] * alpha / rank * (up @ down)


# ---- prompts ----------------------------------------------------------------------------------


class Encoder:
    def __init__(self, net, clip_skip, steps, v16):
        self.net, self.clip_skip, self.steps, self.v16 = net, clip_skip, steps, v16
        slow = tokens.tokenizer(MERGES, False)
        self.ids_of = lambda text: slow(text, add_special_tokens=False)["input_ids"]
        self.keys = [(self.ids_of(name), i, vectors) for i, (name, vectors) in enumerate(INVERSIONS)]

    def weighed(self, batch):
        """Chunk i of every text of a schedule: their mean is kept as it was, over all of them."""
        patches = [(row, offset + 1, seeded.tensor(71, index, (INVERSIONS[index][1], WIDTH)) * 0.5)
                   for row, chunk in enumerate(batch) for offset, index in chunk["fixes"]]
        z = self.net.text(torch.tensor([chunk["ids"] for chunk in batch]), self.clip_skip, patches)
        before = z.mean()
        z = z * torch.tensor([chunk["weights"] for chunk in batch], dtype=torch.float64)[:, :, None]
        return z * (before / z.mean())

    def call(self, text):
        """[(last step, [tokens, width])]."""
        entries = prompt.schedule(text, self.steps, self.v16)
        empty = {"ids": [49406] + [49407] * 76, "weights": [1.0] * 77, "fixes": []}
        texts = [prompt.chunks(entry, self.ids_of, self.keys, 20) for _, entry in entries]
        most = max(map(len, texts))
        rows = [chunks + [empty] * (most - len(chunks)) for chunks in texts]
        z = torch.cat([self.weighed([row[i] for row in rows]) for i in range(most)], dim=1)
        return [(step, z[i]) for i, (step, _) in enumerate(entries)]


def at(call, evaluation):
    """The first that lasts so long; past the end of all, the web UI falls back to the first of all."""
    return next((z for step, z in call if step >= evaluation), call[0][1])


def of_length(z, count):
    return torch.cat([z, z[-1:].expand(max(0, count - len(z)), -1)])[:count]


# ---- sampling ---------------------------------------------------------------------------------


class Model(sampling.Model):
    """The contexts of each evaluation; parts as long as the longest, DDIM's negative as the prompt."""

    def __init__(self, net, era, calls, weights, ddim):
        super().__init__(net, era, False, None)
        self.timeline, self.weights, self.ddim = calls, weights, ddim

    def parts(self):
        now = [at(call, self.calls) for call in self.timeline]
        self.calls += 1
        longest = max(len(z) for z in now[:-1])
        negative = of_length(now[-1], longest) if self.ddim else now[-1]
        return [of_length(z, longest) for z in now[:-1]] + [negative]

    def guide(self, evaluate):
        parts = []
        for self.context in self.parts():
            parts.append(evaluate())
        return parts[-1] + sum((p - parts[-1]) * (w * sampling.CFG) for p, w in zip(parts[:-1], self.weights))


def first_noise(pairs, shape):
    seed, subseed, strength = pairs["Seed"], pairs.get("Variation seed", 0), pairs.get("Variation seed strength", 0)
    if pairs.get("RNG") == "CPU":
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed))[None].double()
    low = seeded.tensor(seed, 0, shape)
    return (noise.slerp(strength, low, seeded.tensor(subseed, 0, shape)) if strength else low)[None]


def sample(model, pairs, shape):
    name, steps, ensd = pairs["Sampler"], pairs["Steps"], pairs.get("ENSD", 0)
    x = first_noise(pairs, shape)
    if name == "DDIM":
        return sampling.run_ddim(model, steps, [pairs["Seed"]], *shape[1:], eta=pairs.get("Eta", 0.0))[-1]
    function, karras = sampling.SAMPLERS[name]
    sigmas = schedules.sigmas(model.wrapped, steps, karras, name.startswith("DPM2"))
    options = {}
    if name.removesuffix(" Karras").endswith(" a"):
        options = {"noise_sampler": sampling.Noise([pairs["Seed"] + ensd], shape, 0 if ensd else 1),
                   "eta": pairs.get("Eta", 1.0)}
    return getattr(sampling.sampling, function)(model.denoise, x * sigmas[0], sigmas, disable=True, **options)


def make(positive, negative, pairs):
    """The last latent, and the picture as uint8 [h, w, 3]."""
    net = seeded.checkpoint("requests")
    net.text.final_layer_norm.bias += 0.5  # a mean far from zero: restoring it divides by it
    add_lora(net, positive, after(pairs, [1, 5]))
    name = pairs["Sampler"]
    second_order = name in ("Heun", "DPM++ 2S a") or (name.startswith("DPM2") and ("Karras" in name or after(pairs, [1, 6])))
    steps = pairs["Steps"] * (2 if second_order and after(pairs, [1, 1]) else 1)
    encoder = Encoder(net, pairs["Clip skip"], steps, after(pairs, [1, 6]))
    parts = prompt.parts(prompt.tags(positive)[0])
    calls = [encoder.call(text) for text, _ in parts] + [encoder.call(negative)]
    model = Model(net, not after(pairs, [1, 8]), calls, [weight for _, weight in parts], name == "DDIM")
    width, height = map(int, pairs["Size"].split("x"))
    latent = sample(model, pairs, (4, height // 8, width // 8))
    y = net.vae.decode(latent)[0].permute(1, 2, 0)
    return latent[0], (255 * ((y + 1) / 2).clamp(0, 1)).byte().numpy()


def main():
    OUT.mkdir(exist_ok=True)
    for name, (positive, negative, other) in REQUESTS.items():
        pairs = USUAL | other
        latent, rgb = make(positive, negative, pairs)
        latent.numpy().astype("<f4").tofile(OUT / f"{name}.bin")
        text = PngImagePlugin.PngInfo()
        text.add_text("parameters", infotext(positive, negative, pairs))
        Image.fromarray(rgb).save(OUT / f"{name}.png", pnginfo=text)
        print(name, rgb.shape, float(latent.square().mean().sqrt()), "clipped", float(np.isin(rgb, (0, 255)).mean()))


with torch.no_grad():
    main()
