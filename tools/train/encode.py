"""Whitens the latents, folds that into the 1x1 convolutions, and encodes the painted sets.

After it latent * 0.18215 has zero mean and unit covariance, which is what the schedule expects. The
encoder stays as it is from here on; only decoders are trained further.

    python encode.py [second | third]        the sets of which training
"""
import sys

import torch

import workers
from dataset import load_set
from paths import WORK
from train_vae import DECODER, ENCODER, to_net
from vae import AutoencoderKL

SCALE = 0.18215
SETS = ("sd", "aom", "test-sd", "test-aom")
SECOND = ("aom2", "test-aom2")
THIRD = ("test-sd3", "test-aom3", "sd3", "aom3")


@torch.no_grad()
def encode(fast, exact, pictures):
    """The body runs in bf16, the last two convolutions in fp32: one latent axis is small beside the others."""
    out = []
    for i in range(0, len(pictures), 25):
        body = fast.encoder.body(to_net(pictures[i:i + 25]).bfloat16()).float()
        out.append(exact.quant_conv(exact.encoder.conv_out(body))[:, :4].cpu())
    return torch.cat(out)


@torch.no_grad()
def whiten(vae, z):
    """Symmetric (ZCA) whitening of the four channels: it stays close to the learned axes."""
    z = z.permute(1, 0, 2, 3).flatten(1)
    mean = z.mean(1)
    values, vectors = torch.linalg.eigh(torch.cov(z))
    print("latent spread before", values.sqrt().tolist(), flush=True)
    there = vectors @ torch.diag(values.rsqrt()) @ vectors.T / SCALE
    back = torch.linalg.inv(there)
    q, p = vae.quant_conv, vae.post_quant_conv
    q.weight[:4] = (there @ q.weight[:4, :, 0, 0])[:, :, None, None]
    q.bias[:4] = there @ (q.bias[:4] - mean)
    q.bias[4:] += 2 * torch.log(there.diag().abs())
    old = p.weight[:, :, 0, 0].clone()
    p.weight.copy_((old @ back)[:, :, None, None])
    p.bias += old @ mean


def encode_set(name, fast, exact):
    """Every process writes its part, the first one the whole."""
    finished = WORK / f"latents-{name}.pt"
    if finished.exists():
        return
    pictures = load_set(WORK, name)[0]
    edge = [len(pictures) * k // workers.world for k in range(workers.world + 1)]
    z = encode(fast, exact, pictures[edge[workers.rank]:edge[workers.rank + 1]])
    torch.save((z * SCALE).half(), WORK / f"latents-{name}.{workers.rank}")
    workers.meet()
    if workers.rank == 0:
        parts = [WORK / f"latents-{name}.{k}" for k in range(workers.world)]
        z = torch.cat([torch.load(p) for p in parts])
        torch.save(z, finished)
        for p in parts:
            p.unlink()
        print(name, tuple(z.shape), "std", z.float().std((0, 2, 3)).tolist(), flush=True)
    workers.meet()


def main(names):
    if all((WORK / f"latents-{name}.pt").exists() for name in names):
        return
    white = WORK / "vae-white.pt"
    known = white.exists()
    workers.start()
    exact = AutoencoderKL(ENCODER, DECODER)
    exact.load_state_dict(torch.load(white if known else WORK / "vae-full.pt"), strict=False)
    fast = AutoencoderKL(ENCODER, DECODER)
    fast.load_state_dict(exact.state_dict())
    fast, exact = fast.to(workers.DEVICE, torch.bfloat16), exact.to(workers.DEVICE)
    if not known:
        few = [load_set(WORK, name)[0][::40] for name in ("sd", "aom")]
        whiten(exact, torch.cat([encode(fast, exact, pictures) for pictures in few]))
        workers.meet()
        if workers.rank == 0:
            torch.save(exact.cpu().state_dict(), white)
            exact.to(workers.DEVICE)
    for name in names:
        encode_set(name, fast, exact)
    workers.finish()


if __name__ == "__main__":
    main({"second": SECOND, "third": THIRD}.get(sys.argv[-1], SETS))
