"""The Llama of luagpt_llama.lua in transformers, measured: pytorch_llama.py THREADS. Requests: `step BATCH TOKENS`."""
import sys
import time

import torch
from talk import talk
from transformers import LlamaConfig, LlamaForCausalLM

torch.set_num_threads(int(sys.argv[1]))
torch.manual_seed(1)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=32000, max_position_embeddings=1024, hidden_size=768, num_attention_heads=12, num_key_value_heads=4,
    head_dim=64, num_hidden_layers=12, intermediate_size=2048, rope_theta=500000.0, tie_word_embeddings=True,
    attn_implementation="sdpa"))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)


def step(batch, tokens):
    ids, targets = torch.randint(0, 32000, (2, batch, tokens))
    start = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    logits = model(input_ids=ids, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    loss.backward()
    optimizer.step()
    loss.item()
    return time.perf_counter() - start


talk({"step": step})
