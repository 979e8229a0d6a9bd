"""Writes tests/vectors/model/run_*.bin: latents of whole sampling runs on the "small" checkpoint.

k-diffusion samples; DDIM is written out here and compared with diffusers' scheduler. Latents and
networks are float64, sigmas and what is computed of them float32, as in the web UI. The runs are
listed in RUNS; tests/test_sampling_run.c has the same list.
"""
import pathlib

import numpy as np
import torch

import schedules
import seeded
from k_diffusion_alone import sampling

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "model"
CFG, WEIGHTS = 7.0, (1.0, 0.5)

SAMPLERS = {
    "Euler a": ("sample_euler_ancestral", False), "Euler": ("sample_euler", False),
    "LMS": ("sample_lms", False), "Heun": ("sample_heun", False),
    "DPM2": ("sample_dpm_2", False), "DPM2 a": ("sample_dpm_2_ancestral", False),
    "DPM++ 2S a": ("sample_dpmpp_2s_ancestral", False), "DPM++ 2M": ("sample_dpmpp_2m", False),
}
SAMPLERS |= {name + " Karras": (function, True) for name, (function, _) in SAMPLERS.items()}


class Model:
    """Guided denoising: parts in order, the negative last."""

    def __init__(self, net, era, quantize, contexts, switch=None):
        self.net, self.contexts, self.switch, self.calls = net, contexts, switch, 0
        self.wrapped = schedules.denoiser(self, era, quantize)
        self.context = None

    def __call__(self, x, t, **_):
        context = self.context[None].expand(len(x), -1, -1)
        return self.net.unet(x, float(t[0]), context)

    def parts(self):
        late = self.switch is not None and self.calls >= self.switch
        self.calls += 1
        return self.contexts[1 if late else 0]

    def guide(self, evaluate):
        parts = []
        for context in self.parts():
            self.context = context
            parts.append(evaluate())
        out = parts[-1]
        for part, weight in zip(parts[:-1], WEIGHTS):
            out = out + (part - parts[-1]) * (weight * CFG)
        return out

    def denoise(self, x, sigma, **_):
        return self.guide(lambda: self.wrapped(x, sigma))


class Noise:
    def __init__(self, seeds, shape, first):
        self.seeds, self.shape, self.draw = seeds, shape, first

    def __call__(self, *_):
        self.draw += 1
        return unit_noise(self.seeds, self.draw - 1, self.shape)


def unit_noise(seeds, draw, shape):
    count = int(np.prod(shape))
    return torch.stack([seeded.tensor(seed, draw, shape) for seed in seeds])


def run_k(model, name, steps, seeds, h, w, eta=None, ensd=0, discard=False):
    function, karras = SAMPLERS[name]
    discard = discard or name.startswith("DPM2")
    sigmas = schedules.sigmas(model.wrapped, steps, karras, discard)
    shape, latents, options = (4, h, w), [], {}
    if name.removesuffix(" Karras").endswith(" a"):
        first = 0 if ensd else 1
        options["noise_sampler"] = Noise([s + ensd for s in seeds], shape, first)
        options["eta"] = 1.0 if eta is None else eta
    x = unit_noise(seeds, 0, shape) * sigmas[0]
    last = getattr(sampling, function)(
        model.denoise, x, sigmas, disable=True, callback=lambda d: latents.append(d["x"]), **options)
    return torch.stack(latents[1:] + [last])


def run_ddim(model, steps, seeds, h, w, eta=0.0):
    abar = schedules.alphas().half().double()  # the era's buffer
    timesteps = schedules.ddim_timesteps(steps)
    noise = Noise(seeds, (4, h, w), 1)
    x, latents = unit_noise(seeds, 0, (4, h, w)), []
    for i, t in enumerate(timesteps):
        a, before = abar[t], abar[timesteps[i + 1] if i + 1 < len(timesteps) else 0]
        e = model.guide(lambda: model(x, torch.tensor([t])))
        x0 = (x - (1 - a).sqrt() * e) / a.sqrt()
        sigma = eta * ((1 - before) / (1 - a) * (1 - a / before)).sqrt()
        x = before.sqrt() * x0 + (1 - before - sigma**2).sqrt() * e
        if eta:
            x = x + sigma * noise()
        latents.append(x)
    return torch.stack(latents)


def check_ddim(model, steps, seeds, h, w, mine):
    from diffusers import DDIMScheduler
    scheduler = DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False,
        set_alpha_to_one=False, steps_offset=1)
    scheduler.alphas_cumprod = schedules.alphas().half().double()
    scheduler.final_alpha_cumprod = scheduler.alphas_cumprod[0]
    scheduler.set_timesteps(steps)
    x = unit_noise(seeds, 0, (4, h, w))
    for t in scheduler.timesteps:
        e = model.guide(lambda: model(x, t[None]))
        x = scheduler.step(e, t, x).prev_sample
    print("DDIM against diffusers", float((mine[-1] - x).norm() / x.norm()))


def contexts(draw):
    """A part of 154 tokens, one of 77, and the negative of 77."""
    both = [seeded.tensor(51, draw + i, (154, 64)) for i in range(3)]
    return [both[0], both[1][:77], both[2][:77]]


def write(name, latents):
    array = latents.permute(0, 1, 3, 4, 2).contiguous().numpy().astype("<f4")
    assert np.isfinite(array).all()
    array.tofile(OUT / f"run_{name}.bin")
    print(name, array.shape, float(np.sqrt((array[-1].astype(np.float64)**2).mean())))


def main():
    net = seeded.checkpoint("small")
    one, two = [contexts(0)], [contexts(0), contexts(3)]
    era = lambda **k: Model(net, True, k.pop("quantize", False), k.pop("contexts", one), **k)
    for name in SAMPLERS:  # every latent of 30 steps
        slug = name.lower().replace("+", "p").replace(" ", "_")
        write(slug, run_k(era(), name, 30, [77], 6, 5))
    mine = run_ddim(era(), 20, [77], 6, 5)
    check_ddim(era(), 20, [77], 6, 5, mine)
    write("ddim", run_ddim(era(), 30, [77], 6, 5))

    last = lambda latents: latents[-1:]
    fp32 = lambda: Model(net, False, False, one)
    write("odd_euler_a", last(run_k(fp32(), "Euler a", 20, [5, 6], 9, 13)))
    write("odd_dpmpp_2m", last(run_k(fp32(), "DPM++ 2M Karras", 20, [5, 6], 9, 13)))
    write("eta", last(run_k(era(), "DPM++ 2S a", 8, [77], 6, 5, eta=0.4)))
    write("ensd", last(run_k(era(), "Euler a", 8, [77], 6, 5, ensd=31337)))
    write("discard", last(run_k(era(), "Euler", 8, [77], 6, 5, discard=True)))
    write("rounded", last(run_k(era(quantize=True), "DPM++ 2M Karras", 8, [77], 6, 5)))
    write("ddim_eta", last(run_ddim(era(), 10, [77], 6, 5, eta=0.6)))
    write("switch", last(run_k(era(contexts=two, switch=7), "Heun", 8, [77], 6, 5)))


if __name__ == "__main__":
    with torch.no_grad():
        main()
