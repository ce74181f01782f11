"""Training of adapters by peft, measured: peft_adapters.py DIRECTORY THREADS, as luagpt_adapters.lua does it.

The model is in float32, with gradient checkpointing. Requests: `step BATCH TOKENS`, `busy`, `loss`,
`peak`.
"""
import sys
import time

import torch
from peft import LoraConfig, get_peft_model
from talk import talk
from transformers import AutoModelForCausalLM

torch.set_num_threads(int(sys.argv[2]))
torch.manual_seed(1)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="sdpa")
model.config.use_cache = False
vocab = model.config.vocab_size
model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
model.train()
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4, fused=True)
last = {}


def ids_from(first, batch, tokens):
    rows = [[(b * 1009 + (t + first) * 31) % vocab for t in range(1, tokens + 1)] for b in range(1, batch + 1)]
    return torch.tensor(rows)


def step(batch, tokens):
    ids, targets = ids_from(0, batch, tokens), ids_from(1, batch, tokens)
    start, clock = time.perf_counter(), time.process_time()
    optimizer.zero_grad(set_to_none=True)
    logits = model(input_ids=ids, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    last["loss"] = loss.item()
    last["busy"] = time.process_time() - clock
    return time.perf_counter() - start


talk({"step": step, "busy": lambda: last["busy"], "loss": lambda: last["loss"]})
