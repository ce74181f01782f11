/* The unit of attention's work: some queries of one head against its keys and values. */
#ifndef GPT_ATTENTION_TILE_H
#define GPT_ATTENTION_TILE_H

#include <stdbool.h>
#include <stdint.h>

#define GPT_QUERY_TILE 128 /* handled at once: keys and values are packed once for them, their scores stay in a cache */

/* Rows of one head, each head_dim floats, `stride` floats apart. */
typedef struct GptHeadRows {
  float *data; /* [rows, head_dim], each row `stride` floats after the one before */
  int64_t stride;
} GptHeadRows;

struct GptPagedHead;

typedef struct GptAttentionTile {
  GptHeadRows q, k, v, out; /* q and out begin at the tile's first query, k and v at the first key that one sees */
  const struct GptPagedHead *paged; /* where keys and values lie in pages instead (attention_pages.h); or NULL */
  int64_t queries;          /* 1 .. GPT_QUERY_TILE */
  int64_t keys;             /* that one of them sees at least */
  bool causal;              /* query i sees keys up to past + i * step, the last `window` of them (0: all) */
  int64_t past, window;
  int64_t step; /* 1: queries are tokens; 0: they are heads of one token, which share their keys */
  int64_t head_dim;
  float scale, softcap;
  float *lse; /* [queries], log-sum-exp of the scaled scores, for the backward; or NULL */
  double drop_rate;
  uint64_t seed,
      mask_row; /* element (i, j) of the tile has index (mask_row + i) * mask_columns + mask_first + j in the mask */
  int64_t mask_columns, mask_first;
} GptAttentionTile;

/* Floats of scratch for tiles with at most that many queries and keys. */
int64_t gpt_attention_scratch(int64_t queries, int64_t keys, int64_t head_dim);
int64_t gpt_attention_backward_scratch(int64_t keys, int64_t head_dim, bool capped);

void gpt_attention_tile(const GptAttentionTile *tile, float *scratch);

/* The weights alone, into scratch: [queries, keys], 0 for keys that are not seen. */
void gpt_attention_tile_weights(const GptAttentionTile *tile, float *scratch);

/* From dout (gradient of the tile's out): writes dq, and writes or (add) adds to dk and dv of the tile's keys. */
void gpt_attention_tile_backward(const GptAttentionTile *tile, GptHeadRows dout, GptHeadRows dq, GptHeadRows dk,
                                 GptHeadRows dv, bool add, float *scratch);

#endif
