/*
 * Elements picked, and added, at positions along one dimension. Positions are i64, contiguous, counted from 0, in range,
 * and nobody else's to write: the caller has seen to it. They have as many dimensions as the tensor; in each other
 * dimension no size of theirs is larger than the tensor's, and what lies beyond takes no part.
 */
#ifndef GPT_OPS_GATHER_H
#define GPT_OPS_GATHER_H

#include "core/tensor/tensor.h"

/* y[.., i, ..] = x[.., positions[.., i, ..], ..], of the positions' shape and x's dtype. Recorded. */
GptTensor *gpt_gather(GptEnv *env, GptTensor *x, int dim, GptTensor *positions);

/*
 * A copy of x with source[.., i, ..] added at [.., positions[.., i, ..], ..], in their order. No size of the positions
 * is larger than source's; the rest of source is left out. i64 where both are, else f32. Recorded.
 */
GptTensor *gpt_scatter_add(GptEnv *env, GptTensor *x, int dim, GptTensor *positions, GptTensor *source);

/*
 * Zeros of grad's shape but for size `size` at dim, with grad added at the positions, which have grad's shape: the
 * backward of whatever picks elements along a dim (gather, sort, topk). grad is f32. Not recorded.
 */
GptTensor *gpt_scatter(GptEnv *env, GptTensor *grad, const GptTensor *positions, int dim, int64_t size);

#endif
