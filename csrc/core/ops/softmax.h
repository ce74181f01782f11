/* Softmax and its logarithm along one dimension (0-based), f32 (i64 is turned into it), contiguous, recorded. NULL for
 * NULL. */
#ifndef GPT_SOFTMAX_H
#define GPT_SOFTMAX_H

#include "core/tensor/tensor.h"

GptTensor *gpt_softmax(GptEnv *env, GptTensor *x, int dim);
GptTensor *gpt_log_softmax(GptEnv *env, GptTensor *x, int dim);

#endif
