/*
 * What a forward pass carries with it, through any containers and layers written in Lua, down to the attentions.
 */
#ifndef GPT_PASS_H
#define GPT_PASS_H

#include "core/nn/kv_cache.h"
#include "core/tensor/tensor.h"

/* Rows of one conversation in a pass over several: they follow the tokens its cache already holds. */
typedef struct GptSegment {
  GptKvCache *cache;
  int64_t count; /* rows in this pass */
} GptSegment;

typedef struct GptPass {
  bool training;     /* dropout drops */
  bool last_only;    /* a Model returns logits for the last token of each row or segment only */
  GptRandom *random; /* dropout draws its seeds here */

  /* With segments the input is [1, rows, ...]: the rows of all segments after each other. Without (NULL), it is a
     plain batch [batch, tokens, ...] that begins at position 1 and is not cached. */
  const GptSegment *segments;
  int64_t n_segments;

  struct GptLayer *caller; /* the layer whose forward, written by the host, runs now; or NULL */

  struct GptTrace *trace; /* keeps what every layer returns (layer_trace.h); or NULL */

  int attention_calls; /* so far in this pass: the next one's cache slot */
} GptPass;

/* Does x hold the rows of the pass's segments, [1, rows, ...]? True without segments. */
bool gpt_pass_check_rows(GptEnv *env, const GptPass *pass, const char *what, const GptTensor *x);

#endif
