"""Writes tests/vectors/lora/: small files of every kind of LoRA, and what each adds to a layer.

    python tools/vectors/lora.py tests/vectors/lora

The expected deltas are made another way than the program makes them: a LoRA or LoCon is run as the layers
that it stands for, on one-hot inputs, in float64; LoHa and LoKr by einsum and kron. Files come from the
safetensors and torch libraries.
"""
import os
import sys

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

U, T = "model.diffusion_model.", "cond_stage_model.transformer.text_model."
# name: (out, in, kernel); tests/test_lora.c has the same table
ROWS = {
    "q": (U + "input_blocks.1.1.transformer_blocks.0.attn1.to_q", 12, 12, 1),
    "out": (U + "input_blocks.1.1.transformer_blocks.0.attn1.to_out.0", 12, 12, 1),
    "proj_in": (U + "middle_block.1.proj_in", 12, 12, 1),
    "conv": (U + "input_blocks.4.0.in_layers.2", 12, 8, 3),
    "down": (U + "input_blocks.6.0.op", 8, 8, 3),
    "up": (U + "output_blocks.5.2.conv", 8, 8, 3),
    "ff": (U + "output_blocks.3.1.transformer_blocks.0.ff.net.0.proj", 24, 6, 1),
    "norm": (U + "input_blocks.4.0.in_layers.0", 8, 1, 1),
    "te": (T + "encoder.layers.0.self_attn.q_proj", 10, 10, 1),
    "fc": (T + "encoder.layers.0.mlp.fc1", 20, 10, 1),
}
# the same modules as trainers name them; conv layers' names are listed, not derived
KOHYA = {
    "q": "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
    "out": "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_out_0",
    "proj_in": "lora_unet_mid_block_attentions_0_proj_in",
    "conv": "lora_unet_down_blocks_1_resnets_0_conv1",
    "down": "lora_unet_down_blocks_1_downsamplers_0_conv",
    "up": "lora_unet_up_blocks_1_upsamplers_0_conv",
    "ff": "lora_unet_up_blocks_1_attentions_0_transformer_blocks_0_ff_net_0_proj",
    "norm": "lora_unet_down_blocks_1_resnets_0_norm1",
    "te": "lora_te_text_model_encoder_layers_0_self_attn_q_proj",
    "fc": "lora_te_text_model_encoder_layers_0_mlp_fc1",
}
TE, UNET = 0.5, -1.25  # multipliers of the test
generator = torch.Generator().manual_seed(20230512)
expected = {}


def rand(*shape, dtype=torch.float32):
    return (torch.randn(*shape, generator=generator) * 0.3).to(dtype)


def expect(file, row, delta, scale=1.0, part="weight"):
    name, out, c_in, k = ROWS[row]
    multiplier = TE if name.startswith(T) else UNET
    shape = (out,) if part == "bias" or row == "norm" else (out, c_in * k * k)
    expected[f"{file}|{name}|{part}"] = (delta.double() * scale * multiplier).reshape(shape).float().contiguous()


def by_running(layers, row):
    """The matrix of a chain of convolutions (weight, padding), found with one-hot inputs."""
    _, out, c_in, k = ROWS[row]
    result = torch.zeros(out, c_in, k, k, dtype=torch.float64)
    for i in range(c_in):
        for y in range(k):
            for x in range(k):
                h = torch.zeros(1, c_in, k, k, dtype=torch.float64)
                h[0, i, y, x] = 1
                for weight in layers:
                    h = F.conv2d(h, weight.double())
                result[:, i, y, x] = h[0, :, 0, 0]
    return result


def kohya(tensors, file, row, rank, alpha, dtype, layout="auto", name=None):
    _, out, c_in, k = ROWS[row]
    conv = k > 1 or layout == "conv"
    up = rand(out, rank, *([1, 1] if conv else []), dtype=dtype)
    down = rand(rank, c_in, *([k, k] if conv else []), dtype=dtype)
    name = name or KOHYA[row]
    tensors[name + ".lora_up.weight"], tensors[name + ".lora_down.weight"] = up, down
    if alpha is not None:
        tensors[name + ".alpha"] = torch.tensor(alpha, dtype=dtype)
    as_conv = [w if w.dim() == 4 else w[:, :, None, None] for w in (down, up)]
    expect(file, row, by_running(as_conv, row), 1 if alpha is None else alpha / rank)


def cp(t, a, b):
    return torch.einsum("ijkl,io,jc->ockl", t.double(), a.double(), b.double())


def main(folder):
    os.makedirs(folder, exist_ok=True)

    def save(file, tensors, metadata=None):
        save_file(tensors, os.path.join(folder, file), metadata=metadata)

    file, t = "kohya.safetensors", {}
    for row, rank, alpha in (("q", 4, 2.0), ("out", 3, 1.5), ("conv", 2, 1.0), ("down", 3, 3.0), ("up", 1, 0.5),
                             ("ff", 2, 8.0), ("te", 4, 4.0), ("fc", 2, 1.0)):
        kohya(t, file, row, rank, alpha, torch.float16)
    kohya(t, file, "proj_in", 4, 2.0, torch.float16, layout="conv")
    t["lora_unet_down_blocks_0_attentions_0_proj_out.lora_up.weight"] = rand(12, 2)  # the test has no such row
    t["lora_unet_something.else"] = rand(3)
    t["extra_state"] = rand(2)
    save(file, t, {"ss_output_name": "other-name", "ss_network_module": "networks.lora"})

    file, t = "plain.pt", {}
    kohya(t, file, "q", 5, None, torch.float32)  # no alpha: scale 1
    kohya(t, file, "te", 5, None, torch.bfloat16)
    torch.save(t, os.path.join(folder, file))

    file, t = "ldm_names.safetensors", {}
    kohya(t, file, "q", 2, 1.0, torch.float32, name="lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q")
    kohya(t, file, "conv", 2, 1.0, torch.float32, name="diffusion_model.input_blocks.4.0.in_layers.2")
    save(file, t)

    t = {}
    _, out, c_in, _ = ROWS["q"]
    name = KOHYA["q"]
    t[name + ".lora_up.weight"], t[name + ".lora_down.weight"] = rand(out, 2), rand(2, c_in)
    t[name + ".alpha"] = torch.tensor(0.0)
    delta = t[name + ".lora_up.weight"].double() @ t[name + ".lora_down.weight"].double()
    save("alpha0.safetensors", t)
    expect("alpha0.safetensors", "q", delta)  # before v1.5; afterwards nothing is added

    file, t = "mid.safetensors", {}
    for row, n, m in (("conv", 3, 2), ("up", 2, 2)):
        _, out, c_in, k = ROWS[row]
        up, mid, down = rand(out, n, 1, 1), rand(n, m, k, k), rand(m, c_in, 1, 1)
        for part, tensor in (("lora_up.weight", up), ("lora_mid.weight", mid), ("lora_down.weight", down)):
            t[f"{KOHYA[row]}.{part}"] = tensor
        t[f"{KOHYA[row]}.alpha"] = torch.tensor(1.0)
        expect(file, row, by_running([down, mid, up], row), 1.0 / n)
    save(file, t)

    file, t = "loha.safetensors", {}
    for row, r in (("q", 3), ("conv", 2), ("te", 2)):
        _, out, c_in, k = ROWS[row]
        w = [rand(out, r), rand(r, c_in * k * k), rand(out, r), rand(r, c_in * k * k)]
        for part, tensor in zip(("w1_a", "w1_b", "w2_a", "w2_b"), w):
            t[f"{KOHYA[row]}.hada_{part}"] = tensor
        t[f"{KOHYA[row]}.alpha"] = torch.tensor(1.0)
        w = [x.double() for x in w]
        expect(file, row, torch.einsum("or,ri,os,si->oi", *w), 1.0 / r)
    row, r = "down", 2
    _, out, c_in, k = ROWS[row]
    w = [rand(r, out), rand(r, c_in), rand(r, out), rand(r, c_in)]
    cores = [rand(r, r, k, k), rand(r, r, k, k)]
    for part, tensor in zip(("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2"), w + cores):
        t[f"{KOHYA[row]}.hada_{part}"] = tensor
    t[f"{KOHYA[row]}.scale"] = torch.tensor(0.75)  # instead of alpha / rank
    expect(file, row, cp(cores[0], w[0], w[1]) * cp(cores[1], w[2], w[3]), 0.75)
    save(file, t)

    file, t = "lokr.safetensors", {}

    def kron(row, parts, w1, w2, scale):
        _, out, c_in, k = ROWS[row]
        for part, tensor in parts.items():
            t[f"{KOHYA[row]}.lokr_{part}"] = tensor.contiguous()
        t[f"{KOHYA[row]}.alpha"] = torch.tensor(1.0)
        w1, w2 = w1.double(), w2.double()
        if w2.dim() == 4:
            w1 = w1[:, :, None, None]
        expect(file, row, torch.kron(w1.contiguous(), w2.contiguous()), scale)

    w1, w2 = rand(3, 2), rand(4, 6)
    kron("q", {"w1": w1, "w2": w2}, w1, w2, 1.0)  # no rank: alpha says nothing
    w1, a, b = rand(2, 4), rand(6, 2), rand(2, 3)
    kron("out", {"w1": w1, "w2_a": a, "w2_b": b}, w1, a @ b, 1 / 2)
    a1, b1, a, b = rand(4, 3), rand(3, 2), rand(6, 2), rand(2, 3)
    kron("ff", {"w1_a": a1, "w1_b": b1, "w2_a": a, "w2_b": b}, a1 @ b1, a @ b, 1 / 2)
    w1, w2 = rand(3, 4), rand(4, 2, 3, 3)
    kron("conv", {"w1": w1, "w2": w2}, w1, w2, 1.0)
    w1, a, b, core = rand(2, 4), rand(3, 4), rand(3, 2), rand(3, 3, 3, 3)
    kron("down", {"w1": w1, "w2_a": a, "w2_b": b, "t2": core}, w1, cp(core, a, b), 1 / 3)
    w1, a, b = rand(4, 2), rand(2, 2), rand(2, 4 * 9)
    kron("up", {"w1": w1, "w2_a": a, "w2_b": b}, w1, (a @ b).reshape(2, 4, 3, 3), 1 / 2)
    save(file, t)

    file, t = "full.safetensors", {}
    for row in ("conv", "fc"):
        _, out, c_in, k = ROWS[row]
        diff, diff_b = rand(out, c_in, *([k, k] if k > 1 else [])), rand(out)
        t[KOHYA[row] + ".diff"], t[KOHYA[row] + ".diff_b"] = diff, diff_b
        expect(file, row, diff)
        expect(file, row, diff_b, part="bias")
    t[KOHYA["q"] + ".diff"], t[KOHYA["q"] + ".diff_b"] = rand(12, 12), rand(12)  # to_q has no bias
    expect(file, "q", t[KOHYA["q"] + ".diff"])
    t[KOHYA["norm"] + ".w_norm"], t[KOHYA["norm"] + ".b_norm"] = rand(8), rand(8)
    expect(file, "norm", t[KOHYA["norm"] + ".w_norm"])
    expect(file, "norm", t[KOHYA["norm"] + ".b_norm"], part="bias")
    save(file, t)

    # IA3 scales what is there; the test's base weight is ((i * 7) % 11 - 5) / 8 at element i
    file, t = "ia3.safetensors", {}
    for row, on_input in (("q", False), ("ff", True), ("conv", False)):
        _, out, c_in, k = ROWS[row]
        base = (torch.arange(out * c_in * k * k) * 7 % 11 - 5).double() / 8
        w = rand(c_in if on_input else out)
        t[KOHYA[row] + ".weight"], t[KOHYA[row] + ".on_input"] = w, torch.tensor(on_input)
        base = base.reshape(out, c_in, k * k)
        expect(file, row, base * (w[None, :, None] if on_input else w[:, None, None]))
    save(file, t)

    def dotted(file, names, up_end, down_end, alpha_end=None):
        t = {}
        for row, name in names.items():
            _, out, c_in, _ = ROWS[row]
            up, down = rand(out, 2), rand(2, c_in)
            t[name + up_end], t[name + down_end] = up, down
            if alpha_end:
                t[name + alpha_end] = torch.tensor(1.0)
            expect(file, row, up.double() @ down.double(), 0.5 if alpha_end else 1.0)
        save(file, t)

    d0, te0 = "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1", "text_encoder.text_model.encoder.layers.0"
    dotted("processor.safetensors", {"q": d0 + ".processor.to_q_lora", "out": d0 + ".processor.to_out_lora",
                                     "te": te0 + ".self_attn.to_q_lora"}, ".up.weight", ".down.weight")
    dotted("no_prefix.safetensors", {"q": d0[5:] + ".processor.to_q_lora", "out": d0[5:] + ".processor.to_out_lora"},
           ".up.weight", ".down.weight")
    dotted("linear_layer.safetensors",
           {"q": d0 + ".to_q", "out": d0 + ".to_out.0", "te": te0 + ".self_attn.q_proj", "fc": te0 + ".mlp.fc1"},
           ".lora_linear_layer.up.weight", ".lora_linear_layer.down.weight")
    dotted("lora_dot.safetensors", {"q": d0 + ".to_q", "out": d0 + ".to_out.0"}, ".lora.up.weight",
           ".lora.down.weight", ".alpha")
    dotted("peft.safetensors", {"q": d0 + ".to_q", "out": d0 + ".to_out.0", "te": te0 + ".self_attn.q_proj",
                                "ff": "unet.up_blocks.1.attentions.0.transformer_blocks.0.ff.net.0.proj"},
           ".lora_B.weight", ".lora_A.weight")
    dotted("peft_model.safetensors",
           {"q": "base_model.model." + d0 + ".to_q", "proj_in": "base_model.model.unet.mid_block.attentions.0.proj_in"},
           ".lora_B.default.weight", ".lora_A.default.weight")
    save("expected.safetensors", expected, {"torch": torch.__version__})


main(sys.argv[1])
