"""How a stage uses the machine: the device, and on a CPU two single-threaded processes.

Two OpenMP threads meet at a barrier after every operator and spin there while somebody else has the
other core; two processes that average their gradients once a step do not. On a GPU there is one
process. Every process seeds its generators from (seed, rank) and sees its own part of the batch.
"""
import ctypes
import os
import tempfile

import torch
import torch.distributed as dist

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
rank, world = 0, 1


def keep_memory():
    """Large tensors come from the heap and their pages stay: given back after every operator, they cost 40 % of the time."""
    libc, trim_threshold, top_pad, mmap_max = ctypes.CDLL(None), -1, -2, -4  # of mallopt, in glibc
    if hasattr(libc, "mallopt"):
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2 ** 31 - 1)
        libc.mallopt(top_pad, 2 ** 28)


def start(processes=None):
    """Forks; call it first. Returns the rank of this process."""
    global rank, world
    world = processes or (1 if DEVICE == "cuda" else min(2, os.cpu_count()))
    if DEVICE == "cpu":
        torch.set_num_threads(1)
        keep_memory()
    if world > 1:
        meeting = tempfile.mktemp(prefix="mini-")
        for child in range(1, world):
            if os.fork() == 0:
                rank = child
                break
        dist.init_process_group("gloo", init_method="file://" + meeting, rank=rank, world_size=world)
    return rank


def meet():
    """Waits for the other processes."""
    if world > 1:
        dist.barrier()


def finish():
    """Children end here; the first process goes on."""
    if world > 1:
        dist.barrier()
        dist.destroy_process_group()
        if rank:
            os._exit(0)


def average(params, loss):
    """Averages the gradients of all processes in place; returns the averaged loss."""
    if world == 1:
        return float(loss.detach())
    params = [p for p in params if p.grad is not None]
    flat = torch.cat([p.grad.flatten() for p in params] + [loss.detach().float().view(1)])
    dist.all_reduce(flat)
    flat /= world
    at = 0
    for p in params:
        p.grad.copy_(flat[at:at + p.numel()].view_as(p))
        at += p.numel()
    return float(flat[-1])
