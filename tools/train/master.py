"""Training in bf16 with fp32 master weights, a schedule, an average of the weights, and checkpoints."""
import copy
import math
import os

import torch

import workers


def cosine(step, steps, warm=100, flat=0.0, floor=0.01):
    """Learning-rate factor: warm-up, a flat part, then a cosine down to the floor."""
    done = max(0.0, (step / steps - flat) / (1 - flat))
    return min(1.0, (step + 1) / warm) * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


class Trainer:
    """`net` runs in bf16; its fp32 masters are what Adam moves; `average` is their EMA."""

    def __init__(self, net, rates, steps, decay=0.998, weight_decay=0.0, flat=0.0, warm=100, betas=(0.9, 0.99)):
        """rates: list of (parameters of net, learning rate)."""
        self.net, self.steps, self.decay, self.flat, self.warm = net, steps, decay, flat, warm
        self.live = [p for group, _ in rates for p in group]
        self.master = [p.detach().float().clone().requires_grad_(True) for p in self.live]
        self.ema = [p.detach().clone() for p in self.master]
        at, groups = 0, []
        for group, rate in rates:
            groups.append({"params": self.master[at:at + len(group)], "lr": rate, "rate": rate})
            at += len(group)
        self.adam = torch.optim.AdamW(groups, betas=betas, weight_decay=weight_decay, foreach=True)
        self.step = 0

    def update(self, loss):
        """Backward, average over the processes, one step of Adam; returns the mean loss."""
        loss.backward()
        for m, p in zip(self.master, self.live):
            m.grad = None if p.grad is None else p.grad.float()
            p.grad = None
        value = workers.average(self.master, loss)
        torch.nn.utils.clip_grad_norm_(self.master, 1.0)
        for group in self.adam.param_groups:
            group["lr"] = group["rate"] * cosine(self.step, self.steps, self.warm, self.flat)
        self.adam.step()
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(self.ema, self.master, 1 - min(self.decay, self.step / (self.step + 10)))
            torch._foreach_copy_(self.live, self.master)
        return value

    def averaged(self, net):
        """The EMA weights, in fp32, in a copy of `net` (which holds self.live)."""
        keep = [p.detach().clone() for p in self.live]
        with torch.no_grad():
            for p, e in zip(self.live, self.ema):
                p.copy_(e)
        out = copy.deepcopy(net).float()
        with torch.no_grad():
            names = {id(p): k for k, p in enumerate(self.live)}
            for p, q in zip(net.parameters(), out.parameters()):
                if id(p) in names:
                    q.copy_(self.ema[names[id(p)]])
            for p, k in zip(self.live, keep):
                p.copy_(k)
        return out

    def save(self, path):
        if workers.rank == 0:
            torch.save({"step": self.step, "master": self.master, "ema": self.ema,
                        "adam": self.adam.state_dict()}, f"{path}.part")
            os.replace(f"{path}.part", path)

    def resume(self, path):
        """Goes on from a checkpoint if there is one."""
        if not os.path.exists(path):
            return
        state = torch.load(path, map_location=workers.DEVICE, weights_only=False)
        self.step = state["step"]
        with torch.no_grad():
            for name in ("master", "ema"):
                for a, b in zip(getattr(self, name), state[name]):
                    a.copy_(b)
            torch._foreach_copy_(self.live, self.master)
        self.adam.load_state_dict(state["adam"])
