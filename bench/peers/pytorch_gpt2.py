"""Times PyTorch and transformers on a GPT-2 directory, with a KV cache, and logits for the last token alone.

pytorch_gpt2.py DIR THREADS REPEATS prints lines of a name and a value, as luagpt_gpt2.lua does.
"""
import resource
import sys
import time

import torch
from transformers import GPT2LMHeadModel
from transformers.cache_utils import DynamicCache


def tell(name, value):
    print(f"{name} {value:.6f}", flush=True)


def ids(length):
    return torch.tensor([[i * 7 % 50000 for i in range(1, length + 1)]])


def feed(model, tokens, cache):
    return model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]


def time_prompt(model, length):
    tokens = ids(length)
    begin = time.perf_counter()
    feed(model, tokens, DynamicCache())
    tell(f"prompt_{length}", length / (time.perf_counter() - begin))


def time_decoding(model, count):
    cache = DynamicCache()
    logits = feed(model, ids(4), cache)
    for step in range(2 * count):
        if step == count:
            begin = time.perf_counter()
        logits = feed(model, logits.argmax().reshape(1, 1), cache)
    tell("decode", count / (time.perf_counter() - begin))


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main():
    directory, threads, repeats = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    torch.set_num_threads(threads)
    begin = time.perf_counter()
    model = GPT2LMHeadModel.from_pretrained(directory).eval()
    tell("load", time.perf_counter() - begin)
    with torch.inference_mode():
        for _ in range(repeats):
            time_decoding(model, 64)
        tell("peak_decoding", peak())
        time_prompt(model, 1000)
        tell("peak", peak())
        for _ in range(repeats - 1):
            time_prompt(model, 1000)
        for _ in range(repeats):
            time_prompt(model, 512)


main()
