/* The way back through broadcasting. */
#ifndef GPT_OPS_SUM_TO_H
#define GPT_OPS_SUM_TO_H

#include "core/tensor.h"

/* x (f32, any strides) summed over the dims in which `shape` was repeated to become x's shape. A new tensor, not recorded. */
GptTensor *gpt_sum_to(GptEnv *env, const GptTensor *x, int ndim, const int64_t *shape);

#endif
