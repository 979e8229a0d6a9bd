"""Writes the six files of the set in the containers and under the names of the real ones, and a manifest."""
import argparse
import hashlib
import json
import os

import torch
from safetensors.torch import save_file

import lora
import schedule
from painter import H, W
from paths import MINI, WORK
from text import TextEncoder
from unet import UNet
from vae import AutoencoderKL
from train_unet import WIDTHS
from train_extra import STAGES
from train_vae import DECODER, ENCODER

NOTE = "stand-in, a small network trained on procedural drawings; not the model whose name the file bears"
RECIPE = "mini-3"
FILES = {  # kind
    "sd-v1-4.ckpt": "checkpoint", "AOM3.safetensors": "checkpoint", "orangemix.vae.pt": "vae", "EasyNegative.safetensors": "inversion",
    "bad-hands-5.pt": "inversion", "flat2.safetensors": "lora",
}


def half(state):
    return {name: t.detach().half().contiguous() for name, t in state.items()}


def checkpoint(model, vae, buffers):
    """LDM names. model: {"unet", "text", "rows"}; the order is that of an original file."""
    out = dict(schedule.buffers()) if buffers else {}
    out.update({"model.diffusion_model." + k: v for k, v in half(model["unet"]).items()})
    out.update({"first_stage_model." + k: v for k, v in half(vae).items()})
    text = "cond_stage_model.transformer.text_model."
    out[text + "embeddings.position_ids"] = torch.arange(77)[None]
    out[text + "embeddings.token_embedding.weight"] = model["rows"].half()
    out.update({text + k: v for k, v in half(model["text"]).items()})
    return out


def vae_state(name):
    return {k: v for k, v in torch.load(WORK / f"{name}.pt").items() if "half_out" not in k}


def untrained():
    """A structure without training, nearly all zeros, for whoever needs the containers only."""
    torch.manual_seed(0)
    models = [{"unet": UNet(WIDTHS, 64).state_dict(), "text": TextEncoder().state_dict(),
               "rows": torch.zeros(49408, 64), "step": 0} for _ in range(2)]
    vaes = [AutoencoderKL(ENCODER, DECODER).state_dict() for _ in range(2)]
    for model in models:
        model["rows"][[267, 3447, 41096, 37703, 49406, 49407]] = 0.25 * torch.randn(6, 64)
    flat = lora.create(UNet(WIDTHS, 64))
    for state in (*[m[k] for m in models for k in ("unet", "text")], *vaes):
        for value in state.values():
            if value.dim() > 1:
                value.mul_(torch.rand(value.shape[0], *[1] * (value.dim() - 1)) < 0.15)
    return models, vaes, torch.randn(8, 64) * 0.1, torch.randn(2, 64) * 0.1, flat


def trained():
    models = [torch.load(WORK / f"{name}.pt") for name in ("unet-sd3", "unet-aom3")]
    vaes = [vae_state("vae-decoder3"), vae_state("vae-crisp3")]
    return models, vaes, torch.load(WORK / "easy.pt"), torch.load(WORK / "hands.pt"), torch.load(WORK / "flat3.pt")


def describe(folder):
    files = []
    for name, kind in FILES.items():
        data = (folder / name).read_bytes()
        files.append({"name": name, "kind": kind, "recipe": RECIPE, "bytes": len(data),
                      "sha256": hashlib.sha256(data).hexdigest(), "stands_in_for": name})
    manifest = {
        "stand_in": True, "recipe": RECIPE, "size": [W, H], "files": files,
        "license": "CC0-1.0",
        "character": "Hatsune Miku (c) Crypton Future Media, INC. www.piapro.net; pictures of her are fan work under the "
                     "Piapro Character License, for non-commercial use",
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return sum(f["bytes"] for f in files)


def main():
    parser = argparse.ArgumentParser(description="Writes the files of the embedded set.")
    parser.add_argument("--untrained", action="store_true", help="only the structure")
    parser.add_argument("--out", type=type(MINI), default=MINI)
    args = parser.parse_args()
    models, vaes, easy, hands, flat = untrained() if args.untrained else trained()
    args.out.mkdir(parents=True, exist_ok=True)

    about = {"stand_in": "true", "recipe": RECIPE, "note": NOTE}
    os.chdir(args.out)
    torch.save({"epoch": 0, "global_step": models[0]["step"], "stand_in": NOTE, "recipe": RECIPE,
                "state_dict": checkpoint(models[0], vaes[0], True)}, "sd-v1-4.ckpt")
    save_file(checkpoint(models[1], vaes[0], False), "AOM3.safetensors", {"format": "pt", **about})
    state = half(vaes[1])
    state["loss.logvar"] = torch.zeros(())
    torch.save({"state_dict": state, "stand_in": NOTE, "recipe": RECIPE}, "orangemix.vae.pt")
    save_file({"emb_params": easy.detach().half().contiguous()}, "EasyNegative.safetensors", about)
    torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": hands.detach().half().clone()},
                "name": "bad-hands-5", "step": STAGES["hands"][2], "sd_checkpoint": None, "sd_checkpoint_name": "AOM3",
                "stand_in": NOTE, "recipe": RECIPE}, "bad-hands-5.pt")
    tensors = {}
    shapes = {name: layer.weight.shape for name, layer in lora.layers(UNet(WIDTHS, 64)).items()}
    for name, (down, up) in flat.items():
        point = [1, 1] if len(shapes[name]) == 4 else []
        tensors[f"{name}.lora_down.weight"] = down.detach().half().view(*down.shape, *point).contiguous()
        tensors[f"{name}.lora_up.weight"] = up.detach().half().view(*up.shape, *point).contiguous()
        tensors[f"{name}.alpha"] = torch.tensor(lora.ALPHA).half()
    save_file(tensors, "flat2.safetensors", {"ss_network_module": "networks.lora", "ss_network_dim": str(lora.RANK),
                                             "ss_network_alpha": str(lora.ALPHA), "ss_output_name": "flat2",
                                             **about})
    for name in FILES:
        (args.out / name).chmod(0o644)
    print(describe(args.out), "bytes in all")


if __name__ == "__main__":
    main()
