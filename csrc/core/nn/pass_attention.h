/* Attention inside a pass: over the sequences' caches where there are some. */
#ifndef GPT_PASS_ATTENTION_H
#define GPT_PASS_ATTENTION_H

#include "core/nn/pass.h"
#include "core/ops/attention.h"

/*
 * Attends over q [batch, tokens, n_heads, head_dim], k and v [batch, tokens, n_kv_heads, head_dim] for the layer
 * `owner`, whose runs in the pass are told apart by their order. With segments they are the rows of all, [1, rows, ..],
 * the rule must be causal, and each sequence's queries see its cache too. An observer is told. Returns q's shape.
 */
GptTensor *gpt_pass_attend(GptEnv *env, GptPass *pass, const struct GptLayer *owner, GptTensor *q, GptTensor *k,
                           GptTensor *v, const GptAttentionRule *rule);

/* The same over qkv [batch, tokens, (n_heads + 2 n_kv_heads) * head_dim], side by side; returns [batch, tokens,
 * n_heads * head_dim]. */
GptTensor *gpt_pass_attend_packed(GptEnv *env, GptPass *pass, const struct GptLayer *owner, GptTensor *qkv,
                                  int64_t n_heads, int64_t n_kv_heads, const GptAttentionRule *rule);

#endif
