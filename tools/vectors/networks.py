"""Writes tests/vectors/model/: outputs of the three networks on seeded checkpoints.

    python tools/vectors/networks.py [--no-libraries]
"""
import gzip
import pathlib
import sys

import numpy as np
import torch

import seeded
from sd1_networks import SIZES, Checkpoint

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests" / "vectors" / "model"


def write(name, value):
    array = np.ascontiguousarray(value.numpy(), dtype="<f4")
    array.tofile(OUT / name)
    print(name, array.shape, float(np.sqrt((array.astype(np.float64)**2).mean())))


def nhwc(x):
    return x.permute(0, 2, 3, 1)


def modules():
    """Every parameter of the full-size networks: name and shape."""
    with torch.device("meta"):
        net = Checkpoint(SIZES["full"])
    lines = sorted(f"{key} {' '.join(map(str, value.shape))}\n"
                   for key, value in net.state_dict().items())
    with gzip.GzipFile(OUT / "modules.txt.gz", "wb", mtime=0) as file:
        file.write("".join(lines).encode())


def texts(small, wide):
    ids = seeded.ids(11, 2, SIZES["small"]["vocabulary"])
    patches = [(0, 1, seeded.tensor(12, 0, (3, 64))), (1, 70, seeded.tensor(12, 1, (6, 64)))]
    for skip in (1, 2, 3):
        write(f"text_small_{skip}.bin", small.text(ids, skip))
    write("text_small_patched.bin", small.text(ids, 2, patches))
    order = torch.arange(77)
    order[41], order[76] = 40, 75
    write("text_small_positions.bin", small.text(ids[:1], 1, position_ids=order))
    write("text_wide_1.bin", wide.text(seeded.ids(13, 1, SIZES["wide"]["vocabulary"]), 1))


def eps(net, x, t, contexts):
    """[parts, n, h, w, 4]: x [n, 4, h, w], contexts a list of [tokens, width]."""
    return torch.stack([nhwc(net(x, t, c[None].expand(len(x), -1, -1))) for c in contexts])


def unets(small, wide):
    x = seeded.tensor(21, 0, (2, 9, 13, 4)).permute(0, 3, 1, 2)
    for row, t in enumerate((946.421, 0.0, 317.25)):
        contexts = [seeded.tensor(22, 2 * (row % 2), (154, 64)),
                    seeded.tensor(22, 2 * (row % 2) + 1, (154, 64))[:77]]
        write(f"unet_small_{row}.bin", eps(small.unet, x, t, contexts))
    x = seeded.tensor(23, 0, (1, 8, 8, 4)).permute(0, 3, 1, 2)
    contexts = [seeded.tensor(24, i, (77, 128)) for i in range(3)]
    write("unet_wide.bin", eps(wide.unet, x, 999.0, contexts))
    x = seeded.tensor(25, 0, (1, 1, 5, 4)).permute(0, 3, 1, 2)
    write("unet_wide_tiny.bin", eps(wide.unet, x, 500.5, contexts[:1]))


def vaes(small, wide):
    x = seeded.tensor(31, 0, (1, 9, 13, 4)).permute(0, 3, 1, 2)
    write("vae_small.bin", nhwc(small.vae.decode(x)))
    x = seeded.tensor(32, 0, (3, 3, 5, 4)).permute(0, 3, 1, 2)
    write("vae_wide.bin", nhwc(wide.vae.decode(x)))


# ---- the networks here against diffusers' and transformers' -----------------------------------


def transformers_text(z, state):
    from transformers import CLIPTextConfig, CLIPTextModel
    model = CLIPTextModel(CLIPTextConfig(
        vocab_size=z["vocabulary"], hidden_size=z["text_width"], intermediate_size=z["text_ff"],
        num_hidden_layers=z["text_layers"], num_attention_heads=z["text_heads"],
        hidden_act="quick_gelu", eos_token_id=z["vocabulary"] - 1)).double().eval()
    keys = set(model.state_dict())
    prefix = "cond_stage_model.transformer."
    own = {k[len(prefix):]: v for k, v in state.items() if k.startswith(prefix)}
    if not any(k.startswith("text_model.") for k in keys):
        own = {k.removeprefix("text_model."): v for k, v in own.items()}
    model.load_state_dict(own, strict=False)
    missing = keys - set(own)
    assert all("position_ids" in k for k in missing), missing
    return model


def diffusers_unet(z, state):
    from diffusers import UNet2DConditionModel
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint
    model = UNet2DConditionModel(
        block_out_channels=z["unet_width"], cross_attention_dim=z["text_width"],
        attention_head_dim=8, norm_num_groups=32, time_embedding_dim=z["unet_time"],
        down_block_types=["CrossAttnDownBlock2D"] * 3 + ["DownBlock2D"],
        up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 3).double().eval()
    model.load_state_dict(convert_ldm_unet_checkpoint(dict(state), dict(model.config)))
    return model


def diffusers_vae(z, state):
    from diffusers import AutoencoderKL
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint
    model = AutoencoderKL(
        block_out_channels=z["decoder_width"], layers_per_block=2, latent_channels=4,
        norm_num_groups=32, down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4).double().eval()
    own = convert_ldm_vae_checkpoint(dict(state), dict(model.config))
    result = model.load_state_dict(own, strict=False)
    assert not result.unexpected_keys
    assert all(k.startswith(("encoder.", "quant_conv.")) for k in result.missing_keys)
    return model


def relative(a, b):
    return float((a - b).norm() / b.norm())


def check_against_libraries(which, net):
    z, state = SIZES[which], net.state_dict()
    ids = seeded.ids(41, 2, z["vocabulary"] - 1)
    clip = transformers_text(z, state)(ids, output_hidden_states=True)
    print(which, "text against transformers", relative(net.text(ids), clip.last_hidden_state))
    x = seeded.tensor(42, 0, (2, 4, 16, 8))
    context = seeded.tensor(42, 1, (2, 77, z["text_width"]))
    want = diffusers_unet(z, state)(x, torch.tensor(317.25, dtype=torch.float32), context).sample
    print(which, "UNet against diffusers", relative(net.unet(x, 317.25, context), want))
    want = diffusers_vae(z, state).decode(x / 0.18215).sample
    print(which, "VAE against diffusers", relative(net.vae.decode(x), want))


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    small, wide = seeded.checkpoint("small"), seeded.checkpoint("wide")
    with torch.no_grad():
        if "--no-libraries" not in sys.argv:
            for which, net in (("small", small), ("wide", wide)):
                check_against_libraries(which, net)
        modules()
        texts(small, wide)
        unets(small, wide)
        vaes(small, wide)
