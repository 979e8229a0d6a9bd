#!/usr/bin/env python3
"""Writes tests/vectors/formats/: small weights files by the libraries that people save them with, and
expected.tsv, what those libraries say is in them.

    python tools/vectors/weights_formats.py

expected.tsv has a line for each fact, fields separated by tabs:
    file    NAME  safetensors|zip|legacy  number of tensors
    tensor  name  dtype  shape (2,3; empty for a scalar)  bytes in hex, contiguous, little endian
    note    key   value
    class   name
    refused NAME  text that the message has to contain
"""
import collections
import io
import os
import pickle
import struct
import sys
import types
import zipfile

import numpy
import safetensors.torch
import torch

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "..", "tests", "vectors", "formats")
NAMES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16", torch.float64: "f64",
         torch.int64: "i64", torch.int32: "i32", torch.int16: "i16", torch.int8: "i8",
         torch.uint8: "u8", torch.bool: "bool"}
lines = []


def path(name):
    return os.path.join(OUT, name)


def raw(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() \
        if tensor.numel() else b""


def expect(name, kind, tensors, notes=(), classes=()):
    lines.append(("file", name, kind, str(len(tensors))))
    for key, tensor in tensors.items():
        data = tensor.detach().contiguous()
        data = data.reshape(1) if data.dim() == 0 else data
        lines.append(("tensor", key, NAMES[tensor.dtype], ",".join(map(str, tensor.shape)),
                      raw(data).hex()))
    for key, value in dict(notes).items():
        lines.append(("note", key, value))
    for value in classes:
        lines.append(("class", value))


def refuse(name, data, text):
    with open(path(name), "wb") as file:
        file.write(data)
    lines.append(("refused", name, text))


def every_dtype():
    torch.manual_seed(1)
    made = collections.OrderedDict()
    for dtype, name in NAMES.items():
        value = torch.randn(2, 3) * 40
        made["x." + name] = value > 0 if dtype == torch.bool else value.abs().to(dtype)
    made["scalar"] = torch.tensor(4.0, dtype=torch.float16)
    made["empty"] = torch.zeros(0, 5)
    made["nan"] = torch.full((3,), float("nan"))
    return made


def rezip(data, target, method=zipfile.ZIP_STORED, root=None, force_zip64=False, extra=()):
    """The same entries by Python's zipfile, packed or named otherwise."""
    source = zipfile.ZipFile(io.BytesIO(data))
    with zipfile.ZipFile(target, "w", method) as out:
        for entry in source.infolist():
            name = entry.filename
            if root is not None:
                name = root + name[name.index("/") + 1:]
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with out.open(info, "w", force_zip64=force_zip64) as file:
                file.write(source.read(entry))
        for name, value in extra:
            out.writestr((root or "archive/") + name, value)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def safetensors_files():
    tensors = every_dtype()
    metadata = {"format": "pt", "ss_network_dim": "4", "title": "\u521d\u97f3\u30df\u30af \"quoted\""}
    safetensors.torch.save_file(dict(tensors), path("dtypes.safetensors"), metadata=metadata)
    expect("dtypes.safetensors", "safetensors", tensors, metadata)
    # As writers before 2023 did: no padding, so that the data is not aligned.
    table = {"emb_params": torch.randn(2, 7)}
    header = b'{"emb_params":{"dtype":"F32","shape":[2,7],"data_offsets":[0,56]}}'
    assert len(header) % 4 != 0
    blob = struct.pack("<Q", len(header)) + header + raw(table["emb_params"])
    write("unaligned.safetensors", blob)
    assert torch.equal(safetensors.torch.load(blob)["emb_params"], table["emb_params"])
    expect("unaligned.safetensors", "safetensors", table)
    safetensors.torch.save_file({}, path("none.safetensors"))
    expect("none.safetensors", "safetensors", {})


class Checkpoint:
    """Stands for pytorch_lightning's callback: a class that the reader cannot know."""


def lightning():
    """A module of the real one's name, so that the pickle has the real one's bytes."""
    name = "pytorch_lightning.callbacks.model_checkpoint"
    for part in ("pytorch_lightning", "pytorch_lightning.callbacks", name):
        sys.modules.setdefault(part, types.ModuleType(part))
    made = type("ModelCheckpoint", (), {"__module__": name})
    sys.modules[name].ModelCheckpoint = made
    return made, name + ".ModelCheckpoint"


def nested():
    """Shaped as sd-v1-4.ckpt is, with the oddities that torch's format allows."""
    torch.manual_seed(2)
    callback, name = lightning()
    base = torch.arange(24, dtype=torch.float32)
    inner = collections.OrderedDict()
    inner["betas"] = torch.linspace(0, 1, 11)
    inner["transposed"] = base.reshape(4, 6).t()
    inner["shared.first"] = base[:6]
    inner["shared.strided"] = base[1::5]
    inner["shared.window"] = base.as_strided((3, 2, 2), (4, 2, 1), 3)
    inner["expanded"] = torch.tensor([1.5, -2.5]).expand(3, 2)
    inner["tied"] = inner["betas"]
    inner["parameter"] = torch.nn.Parameter(torch.randn(3, 2).half())
    inner["scalar"] = torch.tensor(7)
    inner["one_by_n"] = torch.randn(1, 5).t()
    parameters = torch.nn.ParameterDict({"*": torch.nn.Parameter(torch.randn(2, 4))})
    odd = callback()
    odd.dirpath, odd.best = "logs", torch.ones(2)
    value = {"epoch": 6, "global_step": 470000, "pytorch-lightning_version": "1.4.2",
             "state_dict": inner, "string_to_param": parameters,
             "string_to_token": {"*": 265}, "name": "hands \u624b", "sd_checkpoint": None,
             "rate": 0.125, "flag": True, "big": 1 << 80, "set": {1, 2},
             "callbacks": {callback: {"best_model_score": torch.tensor(0.5),
                                      "best": numpy.float64(2.25), "count": numpy.int64(-3)}},
             "odd": odd, "size": torch.Size((2, 3)), "dtype": torch.float16,
             "list": [torch.ones(2), {"deep": torch.zeros(1)}],
             "optimizer": {"state": {0: {"step": 5}}, "groups": [{"lr": 1e-4, "params": [0, 1]}]}}
    tensors = collections.OrderedDict(("state_dict/" + key, item) for key, item in inner.items())
    tensors["string_to_param/*"] = parameters["*"]
    tensors["callbacks/" + name + "/best_model_score"] = torch.tensor(0.5)
    tensors["list/0"] = torch.ones(2)
    tensors["list/1/deep"] = torch.zeros(1)
    notes = {"epoch": "6", "global_step": "470000", "pytorch-lightning_version": "1.4.2",
             "string_to_token/*": "265", "name": "hands \u624b", "sd_checkpoint": "None",
             "rate": "0.125", "flag": "True", "optimizer/state/0/step": "5",
             "optimizer/groups/0/lr": "%.17g" % 1e-4,
             "callbacks/" + name + "/best": "2.25", "callbacks/" + name + "/count": "-3"}
    return value, tensors, notes, [name]


def torch_files():
    tensors = every_dtype()
    flat = saved(tensors)
    write("dtypes.pt", flat)
    expect("dtypes.pt", "zip", tensors)
    write("dtypes_legacy.pt", saved(tensors, _use_new_zipfile_serialization=False))
    expect("dtypes_legacy.pt", "legacy", tensors)

    value, inside, notes, classes = nested()
    whole = saved(value)
    write("nested.ckpt", whole)
    expect("nested.ckpt", "zip", inside, notes, classes)
    write("nested_legacy.ckpt", saved(value, _use_new_zipfile_serialization=False))
    expect("nested_legacy.ckpt", "legacy", inside, notes, classes)
    for protocol in (3, 4, 5):
        name = "nested_protocol%d.ckpt" % protocol
        write(name, saved(value, pickle_protocol=protocol))
        expect(name, "zip", inside, notes, classes)
    write("nested_legacy_protocol4.ckpt",
          saved(value, pickle_protocol=4, _use_new_zipfile_serialization=False))
    expect("nested_legacy_protocol4.ckpt", "legacy", inside, notes, classes)

    rezip(whole, path("deflated.ckpt"), zipfile.ZIP_DEFLATED)
    expect("deflated.ckpt", "zip", inside, notes, classes)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 0  # 64-bit records in the directory too
    rezip(whole, path("zip64.ckpt"), force_zip64=True)
    zipfile.ZIP64_LIMIT = limit
    expect("zip64.ckpt", "zip", inside, notes, classes)
    rezip(whole, path("other_root.ckpt"), root="some other \u540d name/")
    expect("other_root.ckpt", "zip", inside, notes, classes)

    swapped = io.BytesIO()  # what torch on a big endian machine writes
    source = zipfile.ZipFile(io.BytesIO(flat))
    with zipfile.ZipFile(swapped, "w") as out:
        for entry in source.infolist():
            data = source.read(entry)
            stem = entry.filename.split("/", 1)[1]
            if stem.startswith("data/"):
                width = list(tensors.values())[int(stem[5:])].element_size()
                data = numpy.frombuffer(data, "u%d" % width).byteswap().tobytes()
            if stem == "byteorder":
                data = b"big"
            out.writestr(entry.filename, data)
    write("big_endian.pt", swapped.getvalue())
    check = torch.load(io.BytesIO(swapped.getvalue()))
    for key, tensor in tensors.items():
        assert raw(check[key].reshape(-1)) == raw(tensor.reshape(-1)), key
    expect("big_endian.pt", "zip", tensors)
    write("tensor.pt", saved(torch.arange(4)))
    expect("tensor.pt", "zip", {"": torch.arange(4)})


class Runs:
    def __init__(self, function, *args):
        self.function, self.args = function, args

    def __reduce__(self):
        return self.function, self.args


def zipped(pickled, **options):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", pickled)
        file.writestr("archive/version", "3\n")
    return out.getvalue()


def bad_pickles():
    refuse("os_system.pt", zipped(pickle.dumps(Runs(os.system, "true"), 2)), "posix.system")
    refuse("eval.pt", zipped(pickle.dumps({"x": Runs(eval, "1")}, 2)), "eval")
    refuse("exec4.pt", zipped(pickle.dumps({"x": Runs(exec, "1")}, 4)), "builtins.exec")
    refuse("subprocess.pt", zipped(b"csubprocess\nPopen\n(S'true'\ntR."), "subprocess.Popen")
    refuse("dotted.pt", zipped(b"\x80\x04\x8c\x06random\x8c\x0a_os.system\x93."), "_os.system")
    refuse("inst.pt", zipped(b"(S'true'\nios\nsystem\n."), "os.system")
    refuse("nested_lists.pt", zipped(b"]" * 100000 + b"a" * 99999 + b"."), "levels deep")
    laugh = b"]q\x00"
    for level in range(12):
        laugh += b"](" + b"h" + bytes([level]) + (b"h" + bytes([level])) * 9 + b"eq" + bytes([level + 1])
    refuse("laughs.pt", zipped(laugh + b"."), "unfolds into more than")
    loop = b"\x80\x02}q\x00X\x01\x00\x00\x00ah\x00s."
    refuse("loop.pt", zipped(loop), "levels deep")
    refuse("memo.pt", zipped(b"Nr\xff\xff\xff\xff."), "memo index")
    refuse("no_mark.pt", zipped(b"t."), "mark")
    refuse("extension.pt", zipped(b"\x82\x01."), "extension registry")
    refuse("no_pickle.zip", zipfile_of({"readme.txt": b"hello"}), "without data.pkl")


def zipfile_of(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return out.getvalue()


def bad_zips():
    good = saved({"w": torch.arange(6.0), "v": torch.arange(3)})
    central = good.index(b"PK\x01\x02", good.index(b"data/0") + 40)
    at = good.index(b"archive/data/0", central)
    record = good.rindex(b"PK\x01\x02", 0, at)
    for name, field, size in (("lies_packed.pt", 20, 4), ("lies_size.pt", 24, 4)):
        for grown in (25, 4096, 0x7fffffff):
            data = bytearray(good)
            struct.pack_into("<I", data, record + field, grown)
            refuse(name.replace(".", "_%d." % grown), bytes(data), "")
    both = bytearray(good)
    struct.pack_into("<II", both, record + 20, 200, 200)
    refuse("lies_both.pt", bytes(both), "24 are wanted")
    far = bytearray(good)
    struct.pack_into("<I", far, record + 42, 0x7ffffff0)
    refuse("lies_offset.pt", bytes(far), "")
    local = bytearray(good)
    local[good.index(b"archive/data/0") + 13] = ord("7")
    refuse("lies_local_name.pt", bytes(local), "no whole zip file")
    same = bytearray(good)
    other = good.index(b"archive/data/1", central) - 46
    same[other + 42:other + 46] = good[record + 42:record + 46]
    refuse("lies_same_place.pt", bytes(same), "no whole zip file")
    out = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(good))
    with zipfile.ZipFile(out, "w") as file:
        for entry in source.infolist():
            if not entry.filename.endswith("data/1"):
                file.writestr(entry.filename, source.read(entry))
    refuse("storage_missing.pt", out.getvalue(), "data/1")
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as file:
        for entry in source.infolist():
            file.writestr(entry.filename, source.read(entry))
        file.writestr(source.infolist()[0].filename, b"N.")
    refuse("entry_twice.pt", twice.getvalue(), "")
    crc = bytearray(good)
    crc[good.index(b"FloatStorage")] ^= 1
    refuse("pickle_crc.pt", bytes(crc), "")


def bad_legacy():
    good = saved({"w": torch.arange(6.0)}, _use_new_zipfile_serialization=False)
    count = len(good) - 24 - 8
    assert struct.unpack_from("<Q", good, count)[0] == 6
    for name, elements in (("legacy_count.pt", 5), ("legacy_count_huge.pt", 1 << 63)):
        data = bytearray(good)
        struct.pack_into("<Q", data, count, elements)
        refuse(name, bytes(data), "elements, 6 are wanted")
    refuse("legacy_tail.pt", good + b"x", "after the last storage")
    refuse("legacy_reach.pt", good.replace(b"K\x06\x85", b"K\x07\x85"), "reaches element 6")
    refuse("legacy_run.pt", saved(Runs(os.system, "true"), _use_new_zipfile_serialization=False),
           "posix.system")
    refuse("old.tar", bytes(257) + b"ustar" + bytes(250), "tar file")


def header(text, data=b"", length=None):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def bad_safetensors():
    one = '"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}'
    eight = bytes(8)
    refuse("header_2_63.safetensors", header("{}", length=1 << 63), "9223372036854775808")
    refuse("header_beyond.safetensors", header("{}", length=50), "cut short")
    refuse("header_100m.safetensors", header("{}", length=100000001), "at most are wanted")
    refuse("not_json.safetensors", header("{nonsense}"), "not JSON")
    refuse("not_object.safetensors", header("{} []"), "after the end")
    refuse("name_twice.safetensors", header("{" + one + "," + one + "}", eight), "is there twice")
    refuse("hole.safetensors",
           header("{" + one + ',"b":{"dtype":"U8","shape":[1],"data_offsets":[9,10]}}', bytes(10)),
           "hole")
    refuse("overlap.safetensors",
           header("{" + one + ',"b":{"dtype":"U8","shape":[1],"data_offsets":[7,8]}}', eight),
           "overlap")
    refuse("tail.safetensors", header("{" + one + "}", bytes(9)), "after the last tensor")
    refuse("short.safetensors", header("{" + one + "}", bytes(7)), "cut short")
    refuse("wrong_size.safetensors",
           header('{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}', eight), "wants 12")
    refuse("overflow.safetensors",
           header('{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}}',
                  eight), "overflows")
    refuse("beyond_2_53.safetensors",
           header('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,8]}}', eight),
           "not a size")
    refuse("negative.safetensors",
           header('{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,8]}}', eight), "not a size")
    refuse("fraction.safetensors",
           header('{"a":{"dtype":"U8","shape":[8],"data_offsets":[0.5,8.5]}}', eight), "no range")
    refuse("backwards.safetensors",
           header('{"a":{"dtype":"U8","shape":[8],"data_offsets":[8,0]}}', eight), "no range")
    refuse("dtype.safetensors",
           header('{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}', eight), "F8_E4M3")
    refuse("no_dtype.safetensors", header('{"a":{"shape":[8],"data_offsets":[0,8]}}', eight),
           "no dtype")
    refuse("nul_name.safetensors",
           header('{"a\\u0000b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', eight), "NUL")
    refuse("not_utf8.safetensors",
           header(b'{"a\xff":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}', eight), "UTF-8")
    refuse("metadata.safetensors", header('{"__metadata__":{"a":1}}'), "not a string")
    refuse("ranks.safetensors",
           header('{"a":{"dtype":"U8","shape":[8,1,1,1,1,1,1,1,1],"data_offsets":[0,8]}}', eight),
           "dimensions")


def main():
    os.makedirs(OUT, exist_ok=True)
    for name in os.listdir(OUT):
        os.remove(path(name))
    safetensors_files()
    torch_files()
    refuse("empty.safetensors", b"", "empty")
    refuse("text.ckpt", b"hello, this is no weights file at all", "neither")
    bad_safetensors()
    bad_pickles()
    bad_zips()
    bad_legacy()
    with open(path("expected.tsv"), "w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            assert not any("\t" in field or "\n" in field for field in line)
            file.write("\t".join(line) + "\n")
    print("torch", torch.__version__, "safetensors", safetensors.__version__, "numpy",
          numpy.__version__, "python", sys.version.split()[0])


main()
