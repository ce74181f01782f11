"""A training step of PyTorch's DistributedDataParallel over gloo, measured: pytorch_ranks.py CASE THREADS PROCESSES.

CASE as for pytorch_training.py; its batch is that of all processes together. This process is rank 0 and starts the
others, which follow it.
"""
import os
import socket
import subprocess
import sys
import time

import torch
import torch.distributed as dist
from pytorch_training import Model
from talk import talk
from torch.nn.parallel import DistributedDataParallel


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def main():
    vocab, context, dim, heads, layers, batch, tokens, tied = map(int, sys.argv[1].split(","))
    size, rank = int(sys.argv[3]), int(os.environ.get("RANK", 0))
    if rank == 0:
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free_port()), WORLD_SIZE=str(size), RANK="0")
        others = [subprocess.Popen([sys.executable, *sys.argv], env={**os.environ, "RANK": str(r)},
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) for r in range(1, size)]
    torch.set_num_threads(int(sys.argv[2]))
    dist.init_process_group("gloo")
    torch.manual_seed(1)
    model = DistributedDataParallel(Model(vocab, context, dim, heads, layers, tied), gradient_as_bucket_view=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    torch.manual_seed(2 + rank)
    ids, targets = torch.randint(0, vocab, (2, batch // size, tokens))

    def step():
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        loss = model(ids, targets)
        loss.backward()
        optimizer.step()
        loss.item()
        return time.perf_counter() - start

    def told(another):
        word = torch.tensor([another])
        dist.broadcast(word, 0)
        return word.item()

    if rank > 0:
        while told(0):
            step()
        return
    talk({"step": lambda: told(1) and step()})
    told(0)
    for other in others:
        other.wait()


main()
