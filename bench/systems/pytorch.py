"""PyTorch and transformers, measured: pytorch.py DIRECTORY THREADS DTYPE. The requests are those of luagpt.lua.

With a KV cache, and logits for the last token alone.
"""
import sys
import time

import torch
from talk import ids, talk
from transformers import AutoModelForCausalLM
from transformers.cache_utils import DynamicCache

STREAM_PROMPT = 4
DTYPES = {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}


class System:
    def __init__(self, directory, threads, dtype):
        torch.set_num_threads(int(threads))
        begin = time.perf_counter()
        self.model = AutoModelForCausalLM.from_pretrained(directory, dtype=DTYPES[dtype]).eval()
        self.loading = time.perf_counter() - begin
        self.caches = {}

    def feed(self, rows, cache):
        tokens = torch.tensor(rows)
        return self.model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[:, -1]

    def cache_after(self, prompts):
        """A cache that holds these prompts: made once, then cropped."""
        key = (len(prompts), len(prompts[0]))
        if key not in self.caches:
            self.caches[key] = DynamicCache()
            self.feed(prompts, self.caches[key])
        cache = self.caches[key]
        grown = cache.get_seq_length() - len(prompts[0])
        if grown > 0:
            cache.crop(-grown)
        return cache

    def generate(self, prompts, tokens):
        """Tokens a second of all rows together."""
        cache = self.cache_after(prompts)
        rows = [[i] for i in range(len(prompts))]
        begin = time.perf_counter()
        for _ in range(tokens):
            rows = self.feed(rows, cache).argmax(-1, keepdim=True).tolist()
        return len(prompts) * tokens / (time.perf_counter() - begin)

    def decode(self, tokens, context):
        return self.generate([ids(context)], tokens)

    def streams(self, count, steps):
        return self.generate([ids(STREAM_PROMPT, i) for i in range(count)], steps)

    def prompt(self, length):
        tokens = ids(length)
        begin = time.perf_counter()
        self.feed([tokens], DynamicCache())
        return length / (time.perf_counter() - begin)


with torch.inference_mode():
    system = System(*sys.argv[1:])
    talk({"load": lambda: system.loading, "decode": system.decode, "prompt": system.prompt, "streams": system.streams})
