/* A choice between two tensors, element by element. */
#ifndef GPT_OPS_WHERE_H
#define GPT_OPS_WHERE_H

#include "core/tensor/tensor.h"

/*
 * a where condition (f32 or i64) is not 0, b elsewhere; the three broadcast. i64 where a and b both are, else f32.
 * Records itself: what is not chosen gets no gradient. NULL for NULL.
 */
GptTensor *gpt_where(GptEnv *env, GptTensor *condition, GptTensor *a, GptTensor *b);

#endif
