"""A training step of PyTorch, measured: pytorch_training.py CASE THREADS WAY, as luagpt_training.lua is.

CASE is "vocab,context,emb,heads,layers,batch,tokens,tied". WAY is f32, bf16 (autocast), or compile (torch.compile, f32).
A plain GPT-2 with PyTorch's own best parts: scaled_dot_product_attention, one product for query, key and value, fused
AdamW.
"""
import sys
import time

import torch
from talk import talk
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
    run = torch.compile(model) if sys.argv[3] == "compile" else model
    ids, targets = torch.randint(0, vocab, (2, batch, tokens))

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=sys.argv[3] == "bf16"):
            loss = run(ids, targets)
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    talk({"step": step})


if __name__ == "__main__":
    main()
