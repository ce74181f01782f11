/* Causal multi-head attention (Vaswani et al. 2017), without ever holding a tokens x tokens matrix. */
#ifndef GPT_ATTENTION_H
#define GPT_ATTENTION_H

#include "core/tensor/tensor.h"

/*
 * For qkv [batch, tokens, 3 * dim] (queries, keys and values side by side) returns [batch, tokens, dim]: in each of
 * n_heads slices of dim, softmax(q k' / sqrt(head_dim)) v, every token seeing itself and those before it. Dropout with
 * that rate and seed falls on the attention weights.
 */
GptTensor *gpt_attention(GptEnv *env, GptTensor *qkv, int64_t n_heads, double drop_rate, uint64_t seed);

/* Rows of one sequence in a pass, and where their keys and values go: [n_heads, capacity, head_dim] each, behind the
   `length` tokens that are there. */
typedef struct GptCachedRows {
  float *keys, *values; /* [n_heads, capacity, head_dim] */
  int64_t capacity, length;
  int64_t count; /* rows in this pass; length + count <= capacity */
} GptCachedRows;

/*
 * The same over n sequences, whose rows follow each other in qkv [1, rows, 3 * dim]: each one's keys and values are put
 * behind those it has (`length` is left to the caller), and its queries see all of them. Never recorded.
 */
GptTensor *gpt_attention_cached(GptEnv *env, GptTensor *qkv, int64_t n_heads, int64_t n, const GptCachedRows *rows);

/* The weights that gpt_attention gives the values of such a qkv, without dropout: [batch, n_heads, tokens, tokens]. */
GptTensor *gpt_attention_weights(GptEnv *env, GptTensor *qkv, int64_t n_heads);

#endif
