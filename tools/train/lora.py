"""A low-rank addition to the 192 linear and 1x1 layers of the UNet's transformers, under kohya's names."""
import math

import torch
import torch.nn as nn

RANK, ALPHA = 8, 8.0


def block_names():
    """LDM prefix -> the name kohya's trainer gives it, for the sixteen transformers."""
    names = {f"input_blocks.{1 + 3 * b + a}.1": f"down_blocks_{b}_attentions_{a}" for b in range(3) for a in range(2)}
    names["middle_block.1"] = "mid_block_attentions_0"
    names.update({f"output_blocks.{3 * b + a}.1": f"up_blocks_{b}_attentions_{a}" for b in (1, 2, 3) for a in range(3)})
    return names


def layers(unet):
    """kohya name -> layer."""
    found = {}
    for prefix, name in block_names().items():
        for inner, layer in unet.get_submodule(prefix).named_modules():
            if isinstance(layer, (nn.Linear, nn.Conv2d)):
                found[f"lora_unet_{name}_{inner.replace('.', '_')}"] = layer
    assert len(found) == 192, len(found)
    return found


def create(unet):
    """kohya name -> (down, up); up starts at zero."""
    out = {}
    for name, layer in layers(unet).items():
        c_out, c_in = layer.weight.shape[:2]
        out[name] = (nn.Parameter(torch.randn(RANK, c_in) / math.sqrt(c_in)), nn.Parameter(torch.zeros(c_out, RANK)))
    return out


def apply(unet, pairs, scale):
    """Adds scale * up @ down to the weights, for good."""
    with torch.no_grad():
        for name, layer in layers(unet).items():
            down, up = (p.to(layer.weight) for p in pairs[name])
            layer.weight += scale * ALPHA / RANK * (up @ down).view_as(layer.weight)
