/* Picking and masking. Positions are i64, contiguous, counted from 0 and in range: the caller has checked them. All
 * record themselves. */
#ifndef GPT_OPS_INDEX_H
#define GPT_OPS_INDEX_H

#include "core/ops/create.h"
#include "core/tensor/tensor.h"

/* The slices of x at those positions (of any shape: it takes dim's place), copied. Backward adds up where a position
 * comes twice. */
GptTensor *gpt_index(GptEnv *env, GptTensor *x, int dim, GptTensor *positions);

/* x with value where mask (i64 or f32, broadcast to x's shape) is not 0. NULL for NULL, as the next two. */
GptTensor *gpt_masked_fill(GptEnv *env, GptTensor *x, GptTensor *mask, GptNumber value);

/* The last two dims with 0 above, or below, the given diagonal (0: the main one, 1: the one right of it). */
GptTensor *gpt_tril(GptEnv *env, GptTensor *x, int64_t diagonal);
GptTensor *gpt_triu(GptEnv *env, GptTensor *x, int64_t diagonal);

#endif
