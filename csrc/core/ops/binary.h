/*
 * Arithmetic and comparison of two tensors that broadcast to one shape. Arithmetic turns i64 into f32; a number is a
 * tensor without dimensions (gpt_tensor_number). Arithmetic with NULL is NULL.
 */
#ifndef GPT_BINARY_H
#define GPT_BINARY_H

#include "core/tensor/tensor.h"

GptTensor *gpt_add(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_sub(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_mul(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_div(GptEnv *env, GptTensor *a, GptTensor *b);

/* a to the power of b. The gradient of a is 0 where b is 0; that of b is 0 where a is 0 and b is not negative. */
GptTensor *gpt_pow(GptEnv *env, GptTensor *a, GptTensor *b);

/* Truth values, i64 0 or 1, never recorded. Two i64 tensors are compared as integers, all else as f32. */
GptTensor *gpt_eq(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_ne(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_lt(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_le(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_gt(GptEnv *env, GptTensor *a, GptTensor *b);
GptTensor *gpt_ge(GptEnv *env, GptTensor *a, GptTensor *b);

#endif
