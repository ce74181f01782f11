"""Writes a GPT-2 directory's float32 weights as the file that ggml's gpt-2 example reads.

ggml_gpt2_weights.py DIR FILE. The example wants a vocabulary in the file. This one's words mean nothing, and the word
" a" is one token, so that a prompt of n tokens is " a" n times.
"""
import json
import struct
import sys

from safetensors import safe_open

NAMES = {
    "ln_1.weight": "ln_1/g", "ln_1.bias": "ln_1/b", "ln_2.weight": "ln_2/g", "ln_2.bias": "ln_2/b",
    "attn.c_attn.weight": "attn/c_attn/w", "attn.c_attn.bias": "attn/c_attn/b",
    "attn.c_proj.weight": "attn/c_proj/w", "attn.c_proj.bias": "attn/c_proj/b",
    "mlp.c_fc.weight": "mlp/c_fc/w", "mlp.c_fc.bias": "mlp/c_fc/b",
    "mlp.c_proj.weight": "mlp/c_proj/w", "mlp.c_proj.bias": "mlp/c_proj/b",
}
TOP = {"wte.weight": "wte", "wpe.weight": "wpe", "ln_f.weight": "ln_f/g", "ln_f.bias": "ln_f/b"}


def name_there(name):
    name = name.removeprefix("transformer.")
    if name in TOP:
        return "model/" + TOP[name]
    if not name.startswith("h."):
        return None
    _, layer, rest = name.split(".", 2)
    return f"model/h{layer}/{NAMES[rest]}" if rest in NAMES else None


def write_vocabulary(out, size):
    out.write(struct.pack("i", size))
    for i in range(size):
        word = b" a" if i == 0 else b"<%d>" % i
        out.write(struct.pack("i", len(word)) + word)


def write_tensor(out, name, data):
    if name.endswith("/w"):
        data = data.T  # rows of the example's weights are outputs
    encoded = name.encode()
    out.write(struct.pack("iii", data.ndim, len(encoded), 0))
    out.write(struct.pack(f"{data.ndim}i", *reversed(data.shape)) + encoded)
    out.write(data.astype("float32").tobytes())


def main():
    directory, file = sys.argv[1:]
    with open(directory + "/config.json") as f:
        config = json.load(f)
    with safe_open(directory + "/model.safetensors", "np") as tensors, open(file, "wb") as out:
        out.write(b"lmgg")  # the magic number 0x67676d6c
        out.write(struct.pack("6i", *(config[k] for k in ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer")), 0))
        write_vocabulary(out, config["vocab_size"])
        for key in tensors.keys():
            name = name_there(key)
            if name is not None:
                write_tensor(out, name, tensors.get_tensor(key))


main()
