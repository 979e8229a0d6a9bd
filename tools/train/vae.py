"""AutoencoderKL of Stable Diffusion 1.x at any width, under the names its checkpoints use.

Encoder and decoder may differ in width: txt2img runs the decoder alone. The outermost level wants at
least 64 channels: a group norm of 32 groups over 32 channels removes every channel's mean, and with it
the colour of the picture.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


def norm(channels):
    return nn.GroupNorm(32, channels, eps=1e-6)


class ResnetBlock(nn.Module):
    def __init__(self, c_in, c_out):
        super().__init__()
        self.norm1 = norm(c_in)
        self.conv1 = nn.Conv2d(c_in, c_out, 3, padding=1)
        self.norm2 = norm(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, padding=1)
        if c_in != c_out:
            self.nin_shortcut = nn.Conv2d(c_in, c_out, 1)
        with torch.no_grad():
            self.conv2.weight.mul_(0.1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class AttnBlock(nn.Module):
    """One head over all pixels."""

    def __init__(self, c):
        super().__init__()
        self.norm = norm(c)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))
        with torch.no_grad():
            self.proj_out.weight.mul_(0.1)

    def forward(self, x):
        n, c, h, w = x.shape
        y = self.norm(x)
        q, k, v = (f(y).flatten(2).transpose(1, 2) for f in (self.q, self.k, self.v))
        p = torch.softmax(q @ k.transpose(1, 2) * c ** -0.5, -1)
        return x + self.proj_out((p @ v).transpose(1, 2).reshape(n, c, h, w))


class Downsample(nn.Module):
    """Pads right and bottom only."""

    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, stride=2)

    def forward(self, x):
        return self.conv(F.pad(x, (0, 1, 0, 1)))


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


def middle(c):
    mid = nn.Module()
    mid.block_1, mid.attn_1, mid.block_2 = ResnetBlock(c, c), AttnBlock(c), ResnetBlock(c, c)
    return mid


def run_middle(mid, x):
    return mid.block_2(mid.attn_1(mid.block_1(x)))


class Encoder(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.conv_in = nn.Conv2d(3, widths[0], 3, padding=1)
        self.down = nn.ModuleList()
        c = widths[0]
        for level, width in enumerate(widths):
            stage = nn.Module()
            stage.block = nn.ModuleList([ResnetBlock(c, width), ResnetBlock(width, width)])
            if level < 3:
                stage.downsample = Downsample(width)
            self.down.append(stage)
            c = width
        self.mid = middle(c)
        self.norm_out = norm(c)
        self.conv_out = nn.Conv2d(c, 8, 3, padding=1)

    def body(self, x, first=0):
        """first = 1: a half-size picture enters at the second level, while the model is grown."""
        h = self.conv_in(x)
        for stage in self.down[first:]:
            for block in stage.block:
                h = block(h)
            if hasattr(stage, "downsample"):
                h = stage.downsample(h)
        return F.silu(self.norm_out(run_middle(self.mid, h)))

    def forward(self, x, first=0):
        return self.conv_out(self.body(x, first))


class Decoder(nn.Module):
    def __init__(self, widths):
        super().__init__()
        c = widths[3]
        self.conv_in = nn.Conv2d(4, c, 3, padding=1)
        self.mid = middle(c)
        self.up = nn.ModuleList(nn.Module() for _ in widths)
        for level in (3, 2, 1, 0):
            stage, width = self.up[level], widths[level]
            stage.block = nn.ModuleList([ResnetBlock(c, width), ResnetBlock(width, width),
                                         ResnetBlock(width, width)])
            if level > 0:
                stage.upsample = Upsample(width)
            c = width
        self.norm_out = norm(c)
        self.conv_out = nn.Conv2d(c, 3, 3, padding=1)
        self.half_out = None  # a throw-away output at half size, while the model is grown

    def forward(self, z, first=0):
        h = run_middle(self.mid, self.conv_in(z))
        for level in (3, 2, 1, 0)[:4 - first]:
            for block in self.up[level].block:
                h = block(h)
            if level > first:
                h = self.up[level].upsample(h)
        return self.half_out(h) if first else self.conv_out(F.silu(self.norm_out(h)))


class AutoencoderKL(nn.Module):
    def __init__(self, encoder, decoder):
        super().__init__()
        self.encoder, self.decoder = Encoder(encoder), Decoder(decoder)
        self.quant_conv = nn.Conv2d(8, 8, 1)
        self.post_quant_conv = nn.Conv2d(4, 4, 1)

    def encode(self, x, first=0):
        mean, logvar = self.quant_conv(self.encoder(x, first)).chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def decode(self, z, first=0):
        return self.decoder(self.post_quant_conv(z), first)
