"""Seconds of one training step in PyTorch, and the process's peak memory: python pytorch_train.py CASE THREADS STEPS [WAY]

CASE is "vocab context emb heads layers batch tokens tied", joined by commas. WAY is eager (the default) or compile.
A plain GPT-2 with PyTorch's own best parts: scaled_dot_product_attention, one product for query, key and value, fused
AdamW. Prints {"seconds": [...], "cpu": [...], "peak": bytes, "losses": [...]}.
"""
import json
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.output = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.expand, self.project = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)

    def attend(self, x):
        batch, tokens, dim = x.shape
        q, k, v = (t.view(batch, tokens, self.heads, -1).transpose(1, 2) for t in self.qkv(x).split(dim, 2))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.output(y.transpose(1, 2).reshape(batch, tokens, dim))

    def forward(self, x):
        x = x + self.attend(self.norm1(x))
        return x + self.project(functional.gelu(self.expand(self.norm2(x)), approximate="tanh"))


class Model(nn.Module):
    def __init__(self, vocab, context, dim, heads, layers, tied):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab, dim), nn.Embedding(context, dim)
        self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, vocab, bias=False)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, 0, 0.02)
        if tied:
            self.head.weight = self.tokens.weight

    def forward(self, ids, targets):
        x = self.tokens(ids) + self.positions(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return functional.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


def main():
    vocab, context, dim, heads, layers, batch, tokens, tied = map(int, sys.argv[1].split(","))
    torch.set_num_threads(int(sys.argv[2]))
    torch.manual_seed(1)
    model = Model(vocab, context, dim, heads, layers, tied)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    run = torch.compile(model) if sys.argv[4:] == ["compile"] else model
    ids, targets = torch.randint(0, vocab, (2, batch, tokens))
    seconds, cpu, losses = [], [], []
    for _ in range(int(sys.argv[3]) + 1):
        start, start_cpu = time.perf_counter(), time.process_time()
        optimizer.zero_grad(set_to_none=True)
        loss = run(ids, targets)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds[1:], "cpu": cpu[1:], "peak": peak, "losses": losses}))


main()
