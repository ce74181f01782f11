/*
 * Keys and values in pages, which several caches may share. A page holds as many tokens of one layer's heads
 * as all pages of its cache: their keys [n_kv_heads, tokens, head_dim], behind them their values, of the cache's dtype.
 * Attention reads them where they lie.
 */
#ifndef GPT_ATTENTION_PAGES_H
#define GPT_ATTENTION_PAGES_H

#include "core/kernels/dtype.h"
#include "core/ops/attention_tile.h"

#define GPT_PAGE_TOKENS 128 /* at most */

/* Bytes of a page. */
size_t gpt_key_page_bytes(GptDtype dtype, int64_t tokens, int64_t n_kv_heads, int64_t head_dim);

/* One head's keys and values. */
typedef struct GptPagedHead {
  char *const *pages;
  GptDtype dtype;
  int64_t page_tokens;
  int64_t first;        /* the token of a tile's first key */
  int64_t keys, values; /* where in a page the head's begin, in bytes */
  int64_t row_bytes;    /* of a token in one head */
} GptPagedHead;

/* Floats of scratch for tiles over pages, with at most that many queries and keys. */
int64_t gpt_paged_scratch(GptDtype dtype, int64_t queries, int64_t keys, int64_t head_dim);

/* For a tile whose keys lie in pages: scores [queries, keys] = q k', and out = weights v. scratch: behind the scores. */
void gpt_paged_scores(const GptAttentionTile *tile, float *scores, float *scratch);
void gpt_paged_values(const GptAttentionTile *tile, float *weights, float *scratch);

#endif
