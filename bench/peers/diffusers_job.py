"""One picture with Hugging Face diffusers, from a Stable Diffusion 1.x checkpoint file alone: no network.

Run by peers.py with the Python that it was given. Says `mark NAME` when a part begins, after the device
has finished the one before. The tokenizer comes from this project's copy of CLIP's merges.
"""
import json
import os
import sys
import tempfile

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file  # noqa: E402
from diffusers.loaders import single_file_utils as single_file  # noqa: E402

MERGES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../host/prompt/vocab/bpe_merges.txt")
UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8,
        "block_out_channels": (320, 640, 1280, 1280)}
VAE = {"block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4,
       "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
       "sample_size": 512, "scaling_factor": 0.18215}
TEXT = {"hidden_size": 768, "intermediate_size": 3072, "num_attention_heads": 12, "num_hidden_layers": 12,
        "projection_dim": 768, "hidden_act": "quick_gelu", "vocab_size": 49408}


def mark(name, device):
    if device != "cpu":
        torch.cuda.synchronize()
    print(f"mark {name}", flush=True)


def tokenizer():
    """CLIP's: 256 bytes, the same at a word's end, the merges, two special tokens."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = [chr(b) for b in plain] + [chr(256 + i) for i in range(256 - len(plain))]
    with open(MERGES, encoding="utf-8") as file:
        merges = file.read().splitlines()
    words = letters + [c + "</w>" for c in letters] + [m.replace(" ", "") for m in merges]
    words += ["<|startoftext|>", "<|endoftext|>"]
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "vocab.json"), "w", encoding="utf-8") as file:
            json.dump({word: i for i, word in enumerate(words)}, file)
        with open(os.path.join(folder, "merges.txt"), "w", encoding="utf-8") as file:
            file.write("#version: 0.2\n" + "\n".join(merges) + "\n")
        return transformers.CLIPTokenizer(os.path.join(folder, "vocab.json"), os.path.join(folder, "merges.txt"),
                                          model_max_length=77)


def empty(make):
    """A module without memory of its own: the file's tensors take its parameters' place."""
    with torch.device("meta"):
        return make()


def filled(module, tensors, dtype, device):
    """Buffers that a checkpoint may leave out (positions) are made again."""
    tensors = {name: t.to(dtype) if t.is_floating_point() else t for name, t in tensors.items()}
    missing, _ = module.load_state_dict(tensors, strict=False, assign=True)
    for name in [name for name, b in module.named_buffers() if b.is_meta]:
        owner, _, leaf = name.rpartition(".")
        holder = module.get_submodule(owner)
        if leaf != "position_ids":
            raise SystemExit(f"diffusers_job: the file lacks {name}")
        setattr(holder, leaf, torch.arange(77).reshape(1, 77))
    lacking = [name for name in missing if not name.endswith("position_ids")]
    if lacking:
        raise SystemExit(f"diffusers_job: the file lacks {lacking[0]} and {len(lacking) - 1} more")
    return module.to(device).eval()


def text_tensors(checkpoint, module):
    """Named as the module's own: transformers 5 has dropped `text_model.` from them."""
    before = "cond_stage_model.transformer."
    after = "text_model." if any(name.startswith("text_model.") for name, _ in module.named_parameters()) else ""
    tensors = {name[len(before):]: t for name, t in checkpoint.items() if name.startswith(before)}
    return {after + name.removeprefix("text_model."): t for name, t in tensors.items()}


def load(path, dtype, device):
    checkpoint = load_file(path)
    unet = empty(lambda: diffusers.UNet2DConditionModel(**UNET))
    vae = empty(lambda: diffusers.AutoencoderKL(**VAE))
    text = empty(lambda: transformers.CLIPTextModel(transformers.CLIPTextConfig(**TEXT)))
    unet_tensors = single_file.convert_ldm_unet_checkpoint(dict(checkpoint), dict(unet.config))
    vae_tensors = single_file.convert_ldm_vae_checkpoint(dict(checkpoint), dict(vae.config))
    scheduler = diffusers.EulerAncestralDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1)
    return diffusers.StableDiffusionPipeline(
        unet=filled(unet, unet_tensors, dtype, device), vae=filled(vae, vae_tensors, dtype, device),
        text_encoder=filled(text, text_tensors(checkpoint, text), dtype, device), tokenizer=tokenizer(),
        scheduler=scheduler, safety_checker=None, feature_extractor=None, requires_safety_checker=False)


def main():
    path, width, height, steps, seed, threads, device, precision, prompt, out = sys.argv[1:]
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
    torch.set_num_threads(int(threads))
    print(f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}")
    mark("load", "cpu")
    pipe = load(path, dtype, device)
    pipe.set_progress_bar_config(disable=True)
    mark("encode", device)
    with torch.inference_mode():
        wanted, unwanted = pipe.encode_prompt(prompt, device, 1, True, "")
        mark("sample", device)

        def on_step(_pipe, step, _t, tensors):
            mark(f"step {step + 1}", device)
            return tensors

        latents = pipe(prompt_embeds=wanted, negative_prompt_embeds=unwanted, width=int(width), height=int(height),
                       num_inference_steps=int(steps), guidance_scale=7.0, output_type="latent",
                       generator=torch.Generator(device).manual_seed(int(seed)),
                       callback_on_step_end=on_step).images
        mark("decode", device)
        image = pipe.vae.decode(latents / pipe.vae.config.scaling_factor).sample
        picture = pipe.image_processor.postprocess(image, output_type="pil")[0]
        mark("done", device)
    picture.save(out)


if __name__ == "__main__":
    main()
