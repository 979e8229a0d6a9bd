#!/usr/bin/env python3
"""The same job with mikubench-cuda and with its peers, in turns; a table and a JSON of all that was measured.

    bench/peers/peers.py --checkpoint models/sd14.safetensors --ours build/mikubench-cuda \\
        --sdcpp ~/stable-diffusion.cpp/build/bin/sd-cli --diffusers ~/venv/bin/python \\
        --size 512x768 --steps 3 --threads 2 --runs 3 --json bench/results/NAME.json

Programs take turns, run by run, so that a machine that slows down slows them all. README.md beside this
file says what is the same for all of them and what is not. Needs nothing but Python 3.
"""
import argparse
import datetime
import hashlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile

from programs import Diffusers, Job, Ours, StableDiffusionCpp, Unclear
from table import markdown
from watch import watch

SCHEMA = "mikubench-peers-1"
WAIT = {"OMP_WAIT_POLICY": "passive"}  # a team that spins at a barrier burns processor time that is no work


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", required=True, help="one SD 1.x file for all, alone in its folder")
    parser.add_argument("--ours", metavar="PATH", help="mikubench-cuda")
    parser.add_argument("--sdcpp", metavar="PATH", help="stable-diffusion.cpp's sd-cli, built for the device")
    parser.add_argument("--diffusers", metavar="PYTHON", help="a Python that has diffusers")
    parser.add_argument("--precisions", default="fp32,bf16", help="of ours and of diffusers (fp32,bf16)")
    parser.add_argument("--sdcpp-types", default="f16", help="its --type, several with commas (f16)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--size", default="512x768")
    parser.add_argument("--steps", type=int, default=3, help="at least 2 tell a step from the loading in the first")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--note", default="", help="kept in the JSON: what else the machine was doing, say")
    parser.add_argument("--json", metavar="FILE", help="appears whole at the end; what there is, if interrupted")
    options = parser.parse_args()
    size = re.fullmatch(r"(\d+)x(\d+)", options.size)
    if size is None or min(options.steps, options.runs, options.threads) < 1:
        parser.error("--size is WIDTHxHEIGHT; --steps, --runs and --threads are at least 1")
    if not os.path.isfile(options.checkpoint):
        parser.error(f"--checkpoint: no file {options.checkpoint}")
    options.width, options.height = map(int, size.groups())
    return options


def contenders(options):
    precisions = options.precisions.split(",")
    found = [Ours(options.ours, p) for p in precisions if options.ours]
    found += [StableDiffusionCpp(options.sdcpp, t) for t in options.sdcpp_types.split(",") if options.sdcpp]
    found += [Diffusers(options.diffusers, p) for p in precisions if options.diffusers]
    return found


# ---- the machine --------------------------------------------------------------------------------------


def first_line(path, start):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next((line.partition(":")[2].strip() for line in file if line.startswith(start)), "")
    except OSError:
        return ""


def said_by(command):
    """What a program says to a question such as its version; nothing if it says it with a failure."""
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return (answer.stdout + answer.stderr).splitlines()


def environment(note):
    gpu = said_by(["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"])
    return {"cpu": first_line("/proc/cpuinfo", "model name"), "cores": os.cpu_count(),
            "family_model_stepping": "/".join(first_line("/proc/cpuinfo", key)
                                              for key in ("cpu family", "model\t", "stepping")),
            "flags": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
                      if flag in first_line("/proc/cpuinfo", "flags").split()],
            "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            "gpu": gpu[0] if gpu else None, "system": platform.platform(), "python": platform.python_version(),
            "began": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            "environment": WAIT, "note": note}


# ---- runs ---------------------------------------------------------------------------------------------


def measure(program, job, folder):
    """One run as it stands in the JSON."""
    load = os.getloadavg()[0]
    run = watch(program.command(job, folder), WAIT)
    if run.code != 0:
        tail = "\n".join(mark.line for mark in run.marks[-5:])
        raise Unclear(f"{program.name} ended with {run.code}:\n{tail}")
    return {"wall_s": run.wall, "user_s": run.user, "system_s": run.system, "peak_rss_bytes": run.peak_rss,
            "peak_anonymous_bytes": run.peak_anonymous, "peak_gpu_bytes": run.peak_gpu,
            "load_average": [load, os.getloadavg()[0]], "parts": program.parts(run, job, folder)}


def described(program, job):
    said = said_by([program.path, program.version_flag]) if program.version_flag else said_by(
        [program.path, "-c", "import diffusers, torch; print('diffusers', diffusers.__version__, 'torch', torch.__version__)"])
    command = [os.path.basename(word) if os.path.isabs(word) else word for word in program.command(job, "OUT")]
    return {"name": program.name, "version": program.version(said), "command": command, "runs": []}


def described_job(job):
    """Without the folders of this machine: they are nobody else's."""
    digest = hashlib.sha256()
    with open(job.checkpoint, "rb") as file:
        while block := file.read(1 << 24):
            digest.update(block)
    return {**vars(job), "checkpoint": os.path.basename(job.checkpoint),
            "checkpoint_bytes": os.path.getsize(job.checkpoint), "checkpoint_sha256": digest.hexdigest()}


def turns(programs, document, job, runs):
    """Every program once, then every program again, a different one first each time."""
    for turn in range(runs):
        order = list(range(len(programs)))
        for i in order[turn % len(order):] + order[:turn % len(order)]:
            print(f"run {turn + 1} of {runs}: {programs[i].name}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                document["programs"][i]["runs"].append(measure(programs[i], job, folder))


def write(path, document):
    with open(path + ".part", "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
    os.replace(path + ".part", path)


def main():
    options = arguments()
    programs = contenders(options)
    if not programs:
        sys.exit("peers.py: nothing to run: --ours, --sdcpp or --diffusers PATH")
    job = Job(options.checkpoint, options.width, options.height, options.steps, options.seed, options.threads,
              options.device)
    document = {"schema": SCHEMA, "job": described_job(job), "environment": environment(options.note),
                "programs": [described(program, job) for program in programs], "partial": True}
    failed = None
    try:
        turns(programs, document, job, options.runs)
        document["partial"] = False
    except (Unclear, KeyboardInterrupt) as why:
        failed = f"peers.py: {why or 'interrupted'}"
    document["programs"] = [p for p in document["programs"] if p["runs"]]
    if options.json and document["programs"]:
        write(options.json, document)
    if document["programs"]:
        print(markdown(document), end="")
    if failed:
        sys.exit(failed)


if __name__ == "__main__":
    main()
