"""The programs that are compared: how each is asked for the same job, and where its parts begin and end.

A part is what lies between two marks. `encode` is the text encoder (both texts), `first` the first
step, `steps` each later one, `decode` the VAE. Where a program loads a network inside another part (stable-diffusion.cpp
loads each when it is first needed), that part is longer by it: its own `loading tensors completed` lines say by
how much, and that wall time is kept under `load`.
"""
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))


class Job:
    """The same for every program."""

    def __init__(self, checkpoint, width, height, steps, seed, threads, device, prompt="hatsune miku"):
        self.checkpoint = os.path.abspath(checkpoint)
        self.width, self.height, self.steps, self.seed = width, height, steps, seed
        self.threads, self.device, self.prompt = threads, device, prompt


class Unclear(Exception):
    """The program's talk lacks a mark."""


def find(marks, pattern, what):
    for mark in marks:
        if re.search(pattern, mark.line):
            return mark
    raise Unclear(f"no line said {what}")


def between(begin, end):
    return {"wall": end.wall - begin.wall, "cpu": end.cpu - begin.cpu}


def step_parts(ends, begin):
    """The first step from `begin`, the others from each other."""
    chain = [begin, *ends]
    spans = [between(a, b) for a, b in zip(chain, chain[1:])]
    return {"first": spans[0], "steps": spans[1:]}


class Ours:
    """mikubench-cuda. Wall time is its own JSON's; its progress lines say when processor time was read.

    The terminal is shown a line every 100 ms at most, so quick parts have no processor time.
    """

    def __init__(self, path, precision):
        self.path, self.precision = os.path.abspath(path), precision
        self.name = f"mikubench-cuda {precision}"

    def command(self, job, folder):
        return [self.path, "--weights", os.path.dirname(job.checkpoint), "--device", job.device,
                "--precision", self.precision, "--threads", str(job.threads),
                "--model", os.path.splitext(os.path.basename(job.checkpoint))[0],
                "--prompt", job.prompt, "--steps", str(job.steps), "--sampler", "Euler a",
                "--cfg", "7", "--seed", str(job.seed), "--size", f"{job.width}x{job.height}",
                "-o", os.path.join(folder, "ours.png"), "--json", os.path.join(folder, "ours.json")]

    def cpu_parts(self, marks, job):
        load = find(marks, r"(^|: )load$", "load")
        encode = find(marks, r"(^|: )encode$", "encode")
        begins = find(marks, rf"step 0 of {job.steps}\b", "step 0")
        ends = [find(marks, rf"step {k} of {job.steps}\b", f"step {k}") for k in range(1, job.steps + 1)]
        decode = find(marks, r"(^|: )decode$", "decode")
        done = find(marks, r"sha256 [0-9a-f]{64}", "the picture's hash")
        return {"load": between(load, encode), "encode": between(encode, begins),
                **step_parts(ends, begins), "decode": between(decode, done)}

    def parts(self, run, job, folder):
        with open(os.path.join(folder, "ours.json"), encoding="utf-8") as file:
            times = json.load(file)["configurations"][0]
        first, *later = [{"wall": ms / 1000} for ms in times["step"]["values"][0]]
        parts = {stage: {"wall": times["stages"][stage]["median"] / 1000} for stage in ("load", "encode", "decode")}
        parts |= {"first": first, "steps": later}
        try:
            with_cpu = self.cpu_parts(run.marks, job)
        except Unclear:
            return parts
        for name in ("load", "encode", "first", "decode"):
            parts[name]["cpu"] = with_cpu[name]["cpu"]
        for span, other in zip(parts["steps"], with_cpu["steps"]):
            span["cpu"] = other["cpu"]
        return parts

    def version(self, said):
        return next((line.strip() for line in said if line.startswith("mikubench-cuda")), "")

    version_flag = "--version"


class StableDiffusionCpp:
    """stable-diffusion.cpp's sd-cli."""

    def __init__(self, path, kind):
        self.path, self.kind = os.path.abspath(path), kind
        self.name = f"stable-diffusion.cpp {kind}"

    def command(self, job, folder):
        return [self.path, "-m", job.checkpoint, "--type", self.kind, "-p", job.prompt, "-v",
                "--steps", str(job.steps), "--sampling-method", "euler_a", "--cfg-scale", "7",
                "-s", str(job.seed), "-W", str(job.width), "-H", str(job.height),
                "-t", str(job.threads), "-o", os.path.join(folder, "sdcpp.png")]

    def parts(self, run, job, folder):
        marks = run.marks
        encoded = find(marks, r"get_learned_condition completed", "that the text is encoded")
        ends = [find(marks, rf"\b{k}/{job.steps} - .*(s/it|it/s)", f"step {k}")
                for k in range(1, job.steps + 1)]
        latents = find(marks, r"generating \d+ latent images completed", "that sampling is done")
        decoded = find(marks, r"decode_first_stage completed", "that the picture is decoded")
        loads = [re.search(r"loading tensors completed, taking ([\d.]+)s", mark.line) for mark in marks]
        return {"load": {"wall": sum(float(m[1]) for m in loads if m)},
                **step_parts(ends, encoded), "decode": between(latents, decoded)}

    def version(self, said):
        return next((line.strip() for line in said if "version" in line), "")

    version_flag = "--version"


class Diffusers:
    """Hugging Face diffusers: `path` is a Python that has it, and diffusers_job.py runs there."""

    def __init__(self, path, precision):
        self.path, self.precision = path, precision
        self.name = f"diffusers {precision}"

    def command(self, job, folder):
        return [self.path, os.path.join(HERE, "diffusers_job.py"), job.checkpoint, str(job.width),
                str(job.height), str(job.steps), str(job.seed), str(job.threads), job.device,
                self.precision, job.prompt, os.path.join(folder, "diffusers.png")]

    def parts(self, run, job, folder):
        def at(what):
            return find(run.marks, rf"^mark {what}$", what)
        ends = [at(f"step {k}") for k in range(1, job.steps + 1)]
        return {"load": between(at("load"), at("encode")), "encode": between(at("encode"), at("sample")),
                **step_parts(ends, at("sample")), "decode": between(at("decode"), at("done"))}

    def version(self, said):
        return next((line.strip() for line in said if line.startswith("diffusers")), "")

    version_flag = None
