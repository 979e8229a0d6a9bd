"""Stable Diffusion 1.x in plain PyTorch, for making test vectors.

Written from the descriptions of the networks (host/MODEL.md has the sources), with attributes
named so that state_dict() has the names of an LDM checkpoint. Every size is an argument. Run in
float64, so that what a vector holds is the network and not PyTorch's own rounding; only the time
embedding's angles are float32, as they are by definition. check_against_libraries() holds them to
diffusers and transformers where those compute the same (latents of a multiple of 8).
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

LEVELS = 4

SIZES = {
    "full": dict(vocabulary=49408, positions=77, text_width=768, text_layers=12, text_heads=12,
                 text_ff=3072, unet_width=[320, 640, 1280, 1280], unet_time=1280, vae_z=4,
                 decoder_width=[128, 256, 512, 512], encoder_width=[128, 256, 512, 512]),
    "small": dict(vocabulary=512, positions=77, text_width=64, text_layers=3, text_heads=1,
                  text_ff=256, unet_width=[32, 64, 96, 128], unet_time=128, vae_z=4,
                  decoder_width=[32, 64, 96, 96], encoder_width=[0, 0, 0, 0]),
    "requests": dict(vocabulary=49408, positions=77, text_width=64, text_layers=3, text_heads=1,
                     text_ff=256, unet_width=[32, 64, 96, 128], unet_time=128, vae_z=4,
                     decoder_width=[32, 64, 96, 96], encoder_width=[0, 0, 0, 0]),
    "wide": dict(vocabulary=300, positions=77, text_width=128, text_layers=2, text_heads=2,
                 text_ff=320, unet_width=[64, 64, 96, 160], unet_time=96, vae_z=4,
                 decoder_width=[64, 32, 64, 128], encoder_width=[0, 0, 0, 0]),
}


def norm32(c, eps):
    return nn.GroupNorm(32, c, eps=eps)


def split_heads(x, heads):
    n, s, c = x.shape
    return x.view(n, s, heads, c // heads).transpose(1, 2)


def attend(q, k, v, heads, causal=False):
    q, k, v = (split_heads(x, heads) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(1)
        scores = scores.masked_fill(hidden, -math.inf)
    y = scores.softmax(-1) @ v
    return y.transpose(1, 2).flatten(2)


# ---- text encoder ---------------------------------------------------------------------------


class TextLayer(nn.Module):
    def __init__(self, z):
        super().__init__()
        c = z["text_width"]
        self.heads = z["text_heads"]
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(c), nn.LayerNorm(c)
        self.self_attn = nn.ModuleDict(
            {name: nn.Linear(c, c) for name in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(c, z["text_ff"]), "fc2": nn.Linear(z["text_ff"], c)})

    def forward(self, x):
        a, y = self.self_attn, self.layer_norm1(x)
        x = x + a["out_proj"](
            attend(a["q_proj"](y), a["k_proj"](y), a["v_proj"](y), self.heads, causal=True))
        y = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](y * torch.sigmoid(1.702 * y))


class Holder(nn.Module):
    """Gives its children a prefix."""


class TextModel(nn.Module):
    def __init__(self, z):
        super().__init__()
        self.embeddings, self.encoder = Holder(), Holder()
        self.embeddings.token_embedding = nn.Embedding(z["vocabulary"], z["text_width"])
        self.embeddings.position_embedding = nn.Embedding(z["positions"], z["text_width"])
        self.encoder.layers = nn.ModuleList(TextLayer(z) for _ in range(z["text_layers"]))
        self.final_layer_norm = nn.LayerNorm(z["text_width"])

    def forward(self, ids, clip_skip=1, patches=(), position_ids=None):
        """patches: (row, at, [count, width]) in place of token rows."""
        x = self.embeddings.token_embedding(ids)
        for row, at, vectors in patches:
            x[row, at:at + len(vectors)] = vectors
        order = torch.arange(ids.shape[1]) if position_ids is None else position_ids
        x = x + self.embeddings.position_embedding(order)
        for layer in self.encoder.layers[:len(self.encoder.layers) - (clip_skip - 1)]:
            x = layer(x)
        return self.final_layer_norm(x)


# ---- UNet -----------------------------------------------------------------------------------


def sinusoid(t, c):
    half = c // 2
    f = torch.exp(-math.log(10000) * torch.arange(half, dtype=torch.float32) / half)
    angle = torch.tensor([t], dtype=torch.float32)[:, None] * f[None]
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class ResBlock(nn.Module):
    def __init__(self, c_in, c, time):
        super().__init__()
        conv = lambda a, b: nn.Conv2d(a, b, 3, padding=1)
        self.in_layers = nn.Sequential(norm32(c_in, 1e-5), nn.SiLU(), conv(c_in, c))
        self.emb_layers = nn.Sequential(nn.SiLU(), nn.Linear(time, c))
        self.out_layers = nn.Sequential(norm32(c, 1e-5), nn.SiLU(), nn.Identity(), conv(c, c))
        self.skip_connection = nn.Identity() if c_in == c else nn.Conv2d(c_in, c, 1)

    def forward(self, x, emb):
        h = self.in_layers(x) + self.emb_layers(emb)[:, :, None, None]
        return self.skip_connection(x) + self.out_layers(h)


class CrossAttention(nn.Module):
    def __init__(self, c, context):
        super().__init__()
        self.to_q = nn.Linear(c, c, bias=False)
        self.to_k = nn.Linear(context, c, bias=False)
        self.to_v = nn.Linear(context, c, bias=False)
        self.to_out = nn.Sequential(nn.Linear(c, c))

    def forward(self, x, context):
        return self.to_out(attend(self.to_q(x), self.to_k(context), self.to_v(context), 8))


class GEGLU(nn.Module):
    def __init__(self, c, inner):
        super().__init__()
        self.proj = nn.Linear(c, 2 * inner)

    def forward(self, x):
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class TransformerBlock(nn.Module):
    def __init__(self, c, context):
        super().__init__()
        self.attn1, self.attn2 = CrossAttention(c, c), CrossAttention(c, context)
        self.ff = Holder()
        self.ff.net = nn.Sequential(GEGLU(c, 4 * c), nn.Identity(), nn.Linear(4 * c, c))
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(c) for _ in range(3))

    def forward(self, x, context):
        y = self.norm1(x)
        x = x + self.attn1(y, y)
        x = x + self.attn2(self.norm2(x), context)
        return x + self.ff.net(self.norm3(x))


class SpatialTransformer(nn.Module):
    def __init__(self, c, context):
        super().__init__()
        self.norm = norm32(c, 1e-6)
        self.proj_in, self.proj_out = nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1)
        self.transformer_blocks = nn.ModuleList([TransformerBlock(c, context)])

    def forward(self, x, context):
        n, c, h, w = x.shape
        y = self.proj_in(self.norm(x)).flatten(2).transpose(1, 2)
        y = self.transformer_blocks[0](y, context)
        return x + self.proj_out(y.transpose(1, 2).reshape(n, c, h, w))


class Downsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.op = nn.Conv2d(c, c, 3, stride=2, padding=1)

    def forward(self, x):
        return self.op(x)


class Upsample(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class UNet(nn.Module):
    def __init__(self, z):
        super().__init__()
        width, time, context = z["unet_width"], z["unet_time"], z["text_width"]
        self.c0 = c = width[0]
        self.time_embed = nn.Sequential(nn.Linear(c, time), nn.SiLU(), nn.Linear(time, time))
        self.input_blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(z["vae_z"], c, 3, padding=1)])])
        skips = [c]
        for level in range(LEVELS):
            for _ in range(2):
                block = [ResBlock(c, width[level], time)]
                c = width[level]
                if level < LEVELS - 1:
                    block.append(SpatialTransformer(c, context))
                self.input_blocks.append(nn.ModuleList(block))
                skips.append(c)
            if level < LEVELS - 1:
                self.input_blocks.append(nn.ModuleList([Downsample(c)]))
                skips.append(c)
        self.middle_block = nn.ModuleList(
            [ResBlock(c, c, time), SpatialTransformer(c, context), ResBlock(c, c, time)])
        self.output_blocks = nn.ModuleList()
        for level in reversed(range(LEVELS)):
            for i in range(3):
                block = [ResBlock(c + skips.pop(), width[level], time)]
                c = width[level]
                if level < LEVELS - 1:
                    block.append(SpatialTransformer(c, context))
                if i == 2 and level > 0:
                    block.append(Upsample(c))
                self.output_blocks.append(nn.ModuleList(block))
        self.out = nn.Sequential(norm32(c, 1e-5), nn.SiLU(), nn.Conv2d(c, z["vae_z"], 3, padding=1))

    @staticmethod
    def run(block, x, emb, context):
        for layer in block:
            if isinstance(layer, ResBlock):
                x = layer(x, emb)
            elif isinstance(layer, SpatialTransformer):
                x = layer(x, context)
            else:
                x = layer(x)
        return x

    def forward(self, x, t, context):
        emb = self.time_embed(sinusoid(t, self.c0).to(x.dtype))
        skips = []
        for block in self.input_blocks:
            x = self.run(block, x, emb, context)
            skips.append(x)
        x = self.run(self.middle_block, x, emb, context)
        for block in self.output_blocks:
            skip = skips.pop()
            if x.shape[2:] != skip.shape[2:]:  # as the web UI joins odd sizes
                x = F.interpolate(x, skip.shape[2:], mode="nearest")
            x = self.run(block, torch.cat([x, skip], dim=1), emb, context)
        return self.out(x)


# ---- VAE ------------------------------------------------------------------------------------


class VaeRes(nn.Module):
    def __init__(self, c_in, c):
        super().__init__()
        self.norm1, self.norm2 = norm32(c_in, 1e-6), norm32(c, 1e-6)
        self.conv1 = nn.Conv2d(c_in, c, 3, padding=1)
        self.conv2 = nn.Conv2d(c, c, 3, padding=1)
        if c_in != c:
            self.nin_shortcut = nn.Conv2d(c_in, c, 1)

    def forward(self, x):
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.conv2(F.silu(self.norm2(h)))
        return h + (self.nin_shortcut(x) if hasattr(self, "nin_shortcut") else x)


class VaeAttention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm = norm32(c, 1e-6)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(c, c, 1) for _ in range(4))

    def forward(self, x):
        n, c, h, w = x.shape
        y = self.norm(x)
        q, k, v = (layer(y).flatten(2).transpose(1, 2) for layer in (self.q, self.k, self.v))
        y = attend(q, k, v, 1).transpose(1, 2).reshape(n, c, h, w)
        return x + self.proj_out(y)


def vae_middle(c):
    mid = Holder()
    mid.block_1, mid.attn_1, mid.block_2 = VaeRes(c, c), VaeAttention(c), VaeRes(c, c)
    return mid


class VaeDecoder(nn.Module):
    def __init__(self, z):
        super().__init__()
        width = z["decoder_width"]
        c = width[-1]
        self.conv_in = nn.Conv2d(z["vae_z"], c, 3, padding=1)
        self.mid = vae_middle(c)
        ups = []
        for level in reversed(range(LEVELS)):
            up = Holder()
            up.block = nn.ModuleList()
            for _ in range(3):
                up.block.append(VaeRes(c, width[level]))
                c = width[level]
            if level > 0:
                up.upsample = Upsample(c)
            ups.insert(0, up)
        self.up = nn.ModuleList(ups)
        self.norm_out = norm32(c, 1e-6)
        self.conv_out = nn.Conv2d(c, 3, 3, padding=1)

    def forward(self, x):
        x = self.conv_in(x)
        x = self.mid.block_2(self.mid.attn_1(self.mid.block_1(x)))
        for up in reversed(self.up):
            for block in up.block:
                x = block(x)
            if hasattr(up, "upsample"):
                x = up.upsample(x)
        return self.conv_out(F.silu(self.norm_out(x)))


class VaeEncoder(nn.Module):
    """For its names alone: txt2img does not run it."""

    def __init__(self, z):
        super().__init__()
        width = z["encoder_width"]
        c = width[0]
        self.conv_in = nn.Conv2d(3, c, 3, padding=1)
        self.down = nn.ModuleList()
        for level in range(LEVELS):
            down = Holder()
            down.block = nn.ModuleList()
            for _ in range(2):
                down.block.append(VaeRes(c, width[level]))
                c = width[level]
            if level < LEVELS - 1:
                down.downsample = Holder()
                down.downsample.conv = nn.Conv2d(c, c, 3, stride=2)
            self.down.append(down)
        self.mid = vae_middle(c)
        self.norm_out = norm32(c, 1e-6)
        self.conv_out = nn.Conv2d(c, 2 * z["vae_z"], 3, padding=1)


class Vae(nn.Module):
    def __init__(self, z):
        super().__init__()
        if z["encoder_width"][0]:
            self.encoder = VaeEncoder(z)
            self.quant_conv = nn.Conv2d(2 * z["vae_z"], 2 * z["vae_z"], 1)
        self.decoder = VaeDecoder(z)
        self.post_quant_conv = nn.Conv2d(z["vae_z"], z["vae_z"], 1)

    def decode(self, latent):
        return self.decoder(self.post_quant_conv(latent / 0.18215))


# ---- all three ------------------------------------------------------------------------------


class Checkpoint(nn.Module):
    def __init__(self, z):
        super().__init__()
        self.cond_stage_model, self.model = Holder(), Holder()
        self.cond_stage_model.transformer = Holder()
        self.cond_stage_model.transformer.text_model = TextModel(z)
        self.model.diffusion_model = UNet(z)
        self.first_stage_model = Vae(z)

    @property
    def text(self):
        return self.cond_stage_model.transformer.text_model

    @property
    def unet(self):
        return self.model.diffusion_model

    @property
    def vae(self):
        return self.first_stage_model
