"""The UNet of Stable Diffusion 1.x at any width, under the names its checkpoints use."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

from attention import attend

HEADS = 8


def norm(channels, eps=1e-5):
    return nn.GroupNorm(32, channels, eps=eps)


def zero(module):
    """Branches that end in zeros start as the identity."""
    nn.init.zeros_(module.weight)
    nn.init.zeros_(module.bias)
    return module


class ResBlock(nn.Module):
    def __init__(self, c_in, c_out, c_time):
        super().__init__()
        self.in_layers = nn.Sequential(norm(c_in), nn.SiLU(), nn.Conv2d(c_in, c_out, 3, padding=1))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(c_time, c_out))
        self.out_layers = nn.Sequential(norm(c_out), nn.SiLU(), nn.Identity(),
                                        zero(nn.Conv2d(c_out, c_out, 3, padding=1)))
        self.skip_connection = nn.Conv2d(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, emb, context):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    def __init__(self, c, c_context):
        super().__init__()
        self.to_q = nn.Linear(c, c, bias=False)
        self.to_k = nn.Linear(c_context, c, bias=False)
        self.to_v = nn.Linear(c_context, c, bias=False)
        self.to_out = nn.Sequential(nn.Linear(c, c))

    def forward(self, x, context):
        return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context), HEADS))


class GEGLU(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.proj = nn.Linear(c, 8 * c)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, -1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, c, c_context):
        super().__init__()
        self.attn1, self.attn2 = CrossAttention(c, c), CrossAttention(c, c_context)
        self.ff = nn.Module()
        self.ff.net = nn.Sequential(GEGLU(c), nn.Identity(), nn.Linear(4 * c, c))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(c) for _ in range(3))

    def forward(self, x, context):
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, c, c_context):
        super().__init__()
        self.norm = norm(c, 1e-6)
        self.proj_in = nn.Conv2d(c, c, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(c, c_context)])
        self.proj_out = zero(nn.Conv2d(c, c, 1))

    def forward(self, x, emb, context):
        n, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        y = self.transformer_blocks[0](y, context)
        return x + self.proj_out(y.transpose(1, 2).reshape(n, c, h, w))


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.op = nn.Conv2d(c, c, 3, stride=2, padding=1)

    def forward(self, x, emb, context):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x, emb, context):
        return self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))


class Conv(nn.Conv2d):
    def forward(self, x, emb, context):
        return super().forward(x)


def time_features(t, width):
    half = width // 2
    freq = torch.exp(-math.log(10000) * torch.arange(half, device=t.device) / half)
    angle = t.float()[:, None] * freq[None]
    return torch.cat([angle.cos(), angle.sin()], 1)


class UNet(nn.Module):
    def __init__(self, widths, c_context):
        super().__init__()
        self.model_channels = m = widths[0]
        c_time = 4 * m
        blocks = nn.ModuleList
        self.time_embed = nn.Sequential(nn.Linear(m, c_time), nn.SiLU(), nn.Linear(c_time, c_time))
        self.input_blocks = blocks([blocks([Conv(4, m, 3, padding=1)])])
        c, skips = m, [m]
        for level, width in enumerate(widths):
            for _ in range(2):
                layers = [ResBlock(c, width, c_time)]
                if level < 3:
                    layers.append(SpatialTransformer(width, c_context))
                self.input_blocks.append(blocks(layers))
                c = width
                skips.append(c)
            if level < 3:
                self.input_blocks.append(blocks([Downsample(c)]))
                skips.append(c)
        self.middle_block = blocks([ResBlock(c, c, c_time), SpatialTransformer(c, c_context),
                                    ResBlock(c, c, c_time)])
        self.output_blocks = blocks()
        for level in (3, 2, 1, 0):
            for k in range(3):
                layers = [ResBlock(c + skips.pop(), widths[level], c_time)]
                c = widths[level]
                if level < 3:
                    layers.append(SpatialTransformer(c, c_context))
                if k == 2 and level > 0:
                    layers.append(Upsample(c))
                self.output_blocks.append(blocks(layers))
        self.out = nn.Sequential(norm(c), nn.SiLU(), zero(nn.Conv2d(c, 4, 3, padding=1)))

    def forward(self, x, t, context):
        emb = self.time_embed(time_features(t, self.model_channels).to(x.dtype))

        def run(layers, h):
            for layer in layers:
                h = layer(h, emb, context)
            return h

        skips = []
        for layers in self.input_blocks:
            x = run(layers, x)
            skips.append(x)
        x = run(self.middle_block, x)
        for layers in self.output_blocks:
            x = run(layers, torch.cat([x, skips.pop()], 1))
        return self.out(x)
