/* Inside attention: heads where they lie, and what is checked of them. */
#ifndef GPT_ATTENTION_HEADS_H
#define GPT_ATTENTION_HEADS_H

#include "core/ops/attention.h"
#include "core/ops/attention_tile.h"

/* [batch, tokens, heads, head_dim] in memory: strides in floats, head_dim side by side. */
typedef struct GptHeads {
  float *data;
  int64_t batch, row, head;
} GptHeads;

GptHeads gpt_heads_of(const GptTensor *tensor);

/* The rows of head h in row b of the batch, from token `first` on. */
static inline GptHeadRows gpt_head_rows(GptHeads heads, int64_t b, int64_t h, int64_t first) {
  return (GptHeadRows){heads.data + b * heads.batch + h * heads.head + first * heads.row, heads.row};
}

/* The tensor as floats that lie so: itself (a new reference) or a copy. */
GptTensor *gpt_heads_floats(GptEnv *env, GptTensor *tensor);

/* What a tile has of a rule. */
GptAttentionTile gpt_attention_tile_of(const GptAttentionRule *rule, int64_t head_dim);

/* How many keys a tile of that many queries can see of so many. */
int64_t gpt_attention_most_keys(const GptAttentionRule *rule, int64_t queries, int64_t keys);

#endif
