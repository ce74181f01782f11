"""llama.cpp, measured: llama.py FILE THREADS. The requests are those of luagpt.lua.

With llama.cpp's own defaults: KV cache in f16, weights repacked where it does so.
"""
import sys
import time

import llama_cpp
import numpy
from talk import ids, talk

STREAM_PROMPT = 4
MOST_CONTEXT = 1024
STREAM_ROOM = 128  # tokens of each of many streams


@llama_cpp.llama_log_callback
def quiet(level, text, data):
    pass


class Context:
    """A context for so many sequences, which all have the same length."""

    def __init__(self, model, threads, sequences, room):
        params = llama_cpp.llama_context_default_params()
        params.n_ctx, params.n_seq_max = room * sequences, sequences
        params.n_batch = params.n_ubatch = 512 if room * sequences > 512 else room * sequences
        params.n_threads = params.n_threads_batch = threads
        self.pointer = llama_cpp.llama_init_from_model(model, params)
        if not self.pointer:
            raise MemoryError("no context")
        self.vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        self.most, self.length = params.n_batch, 0
        self.batch = llama_cpp.llama_batch_init(self.most, 0, 1)

    def keep(self, length):
        for sequence in range(llama_cpp.llama_n_seq_max(self.pointer)):
            llama_cpp.llama_memory_seq_rm(llama_cpp.llama_get_memory(self.pointer), sequence, length, -1)
        self.length = min(self.length, length)

    def decode(self, rows):
        """rows: of each token its id, position, sequence, and whether its logits are wanted."""
        self.batch.n_tokens = len(rows)
        for i, (token, position, sequence, wanted) in enumerate(rows):
            self.batch.token[i], self.batch.pos[i] = token, position
            self.batch.n_seq_id[i], self.batch.seq_id[i][0], self.batch.logits[i] = 1, sequence, wanted
        if llama_cpp.llama_decode(self.pointer, self.batch) != 0:
            raise RuntimeError("llama_decode failed")

    def feed(self, prompts):
        rows = [(token, self.length + i, sequence, i == len(prompt) - 1)
                for sequence, prompt in enumerate(prompts) for i, token in enumerate(prompt)]
        for first in range(0, len(rows), self.most):
            self.decode(rows[first:first + self.most])
        self.length += len(prompts[0])

    def step(self, tokens):
        """One more token for each sequence; returns the next ones, greedily."""
        self.decode([(token, self.length, sequence, True) for sequence, token in enumerate(tokens)])
        self.length += 1
        size = (len(tokens), self.vocabulary)
        logits = numpy.ctypeslib.as_array(llama_cpp.llama_get_logits(self.pointer), shape=size)
        return logits.argmax(-1).tolist()


class System:
    def __init__(self, path, threads):
        llama_cpp.llama_log_set(quiet, None)
        llama_cpp.llama_backend_init()
        begin = time.perf_counter()
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), llama_cpp.llama_model_default_params())
        self.loading = time.perf_counter() - begin
        self.threads, self.contexts = int(threads), {}

    def context_after(self, prompts, room):
        """A context that holds these prompts: made once, then cut back."""
        key = (len(prompts), len(prompts[0]))
        if key not in self.contexts:
            self.contexts[key] = Context(self.model, self.threads, len(prompts), room)
            self.contexts[key].feed(prompts)
        self.contexts[key].keep(len(prompts[0]))
        return self.contexts[key]

    def generate(self, prompts, room, tokens):
        context, chosen = self.context_after(prompts, room), list(range(len(prompts)))
        begin = time.perf_counter()
        for _ in range(tokens):
            chosen = context.step(chosen)
        return len(prompts) * tokens / (time.perf_counter() - begin)

    def decode(self, tokens, context):
        return self.generate([ids(context)], MOST_CONTEXT, tokens)

    def streams(self, count, steps):
        return self.generate([ids(STREAM_PROMPT, i) for i in range(count)], STREAM_ROOM, steps)

    def prompt(self, length):
        if "prompt" not in self.contexts:
            self.contexts["prompt"] = Context(self.model, self.threads, 1, MOST_CONTEXT)
        context = self.contexts["prompt"]
        context.keep(0)
        begin = time.perf_counter()
        context.feed([ids(length)])
        llama_cpp.llama_synchronize(context.pointer)
        return length / (time.perf_counter() - begin)


system = System(*sys.argv[1:])
talk({"load": lambda: system.loading, "decode": system.decode, "prompt": system.prompt, "streams": system.streams})
