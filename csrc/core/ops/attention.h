/* Causal multi-head attention (Vaswani et al. 2017), without ever holding a tokens x tokens matrix. */
#ifndef GPT_ATTENTION_H
#define GPT_ATTENTION_H

#include "core/forward.h"
#include "core/tensor.h"

/*
 * For qkv [batch, tokens, 3 * dim] (queries, keys and values side by side) answers [batch, tokens, dim]: in each of
 * n_heads slices of dim, softmax(q k' / sqrt(head_dim)) v, every token seeing itself and those before it. Dropout with
 * that rate and seed falls on the attention weights.
 */
GptTensor *gpt_attention(GptEnv *env, GptTensor *qkv, int64_t n_heads, double drop_rate, uint64_t seed);

/*
 * The same for a pass over segments, qkv [1, rows, 3 * dim]: each segment's keys and values go into its slot behind the
 * tokens its cache holds (the cache's length is left to the caller), and its queries see all of them. Never recorded.
 * slots: one for each of forward's segments, with room for the new tokens.
 */
GptTensor *gpt_attention_cached(GptEnv *env, GptTensor *qkv, int64_t n_heads, const GptForward *forward,
                                GptKvSlot *const *slots);

/* The weights that gpt_attention gives the values of such a qkv, without dropout: [batch, n_heads, tokens, tokens]. */
GptTensor *gpt_attention_weights(GptEnv *env, GptTensor *qkv, int64_t n_heads);

#endif
