/* The way back through broadcasting. */
#ifndef GPT_SUM_TO_H
#define GPT_SUM_TO_H

#include "core/tensor/tensor.h"

/*
 * Sums a tensor down to a shape that broadcasts to the tensor's own: a gradient's way back through broadcasting.
 * Returns grad itself (a new reference) where the shapes are equal, and NULL for NULL; unrecorded.
 */
GptTensor *gpt_sum_to(GptEnv *env, GptTensor *grad, int ndim, const int64_t *shape);

#endif
