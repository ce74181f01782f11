/*
 * Scaled dot-product attention (Vaswani et al. 2017), without ever holding a matrix of queries x keys: whatever layer
 * there is attends through this.
 *
 * Queries are [batch, queries, n_heads, head_dim], keys and values [batch, keys, n_kv_heads, head_dim], of any strides
 * (copied only where head_dim does not lie side by side). n_kv_heads divides n_heads: head h reads the keys of head
 * h / (n_heads / n_kv_heads) (grouped queries, Ainslie et al. 2023). Where there are fewer queries than keys, they are
 * the last ones.
 */
#ifndef GPT_ATTENTION_H
#define GPT_ATTENTION_H

#include "core/tensor/tensor.h"

typedef struct GptAttentionRule {
  bool causal;      /* a query sees its own key and those before; otherwise all */
  double scale;     /* of the scores; 0: 1 / sqrt(head_dim) */
  int64_t window;   /* keys that a causal query sees at most, its own included; 0: all before it */
  double softcap;   /* scores become softcap * tanh(score / softcap); 0: they stay */
  double drop_rate; /* dropout of the weights, with that seed */
  uint64_t seed;
} GptAttentionRule;

/* False and a message where shapes or the rule do not fit. */
bool gpt_attention_check(GptEnv *env, const GptTensor *q, const GptTensor *k, const GptTensor *v,
                         const GptAttentionRule *rule);

/* softmax(scale q k') v, of q's shape; recorded. */
GptTensor *gpt_attention(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule);

/* The same over qkv [batch, tokens, (n_heads + 2 n_kv_heads) * head_dim], queries, keys and values side by side, whose
 * gradient comes in one piece; returns [batch, tokens, n_heads * head_dim]. */
GptTensor *gpt_attention_packed(GptEnv *env, GptTensor *qkv, int64_t n_heads, int64_t n_kv_heads,
                                const GptAttentionRule *rule);

/* The parts of such a qkv as views [batch, tokens, heads, head_dim], unrecorded. which: 0, 1, 2. */
GptTensor *gpt_attention_part(GptEnv *env, const GptTensor *qkv, int which, int64_t n_heads, int64_t n_kv_heads);

/* Rows of one sequence in a pass, and where its keys and values lie: page i holds those of tokens from i *
 * page_tokens on (attention_pages.h). There is room for the new ones, in pages that nobody shares. */
typedef struct GptCachedRows {
  char *const *pages;
  GptDtype dtype; /* of keys and values: f32, or f16 */
  int64_t page_tokens;
  int64_t length, count; /* tokens that are there, and rows in this pass */
} GptCachedRows;

/*
 * The same over n sequences, whose rows follow each other in q, k and v, [1, rows, heads, head_dim]: each one's keys
 * and values are put behind those it has (`length` is left to the caller), and its queries see all of them that the
 * rule, which must be causal, lets them. Never recorded, without dropout.
 */
GptTensor *gpt_attention_cached(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule,
                                int64_t n, const GptCachedRows *rows);

/* The weights that gpt_attention gives the values, without dropout: [batch, n_heads, queries, keys]. */
GptTensor *gpt_attention_weights(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule);

#endif
