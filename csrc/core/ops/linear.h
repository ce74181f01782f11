/* The linear map, one or several side by side. */
#ifndef GPT_LINEAR_H
#define GPT_LINEAR_H

#include "core/tensor/tensor.h"

#define GPT_LINEAR_MOST 3

/*
 * y[..., j] = sum over k of x[..., k] * weight[j, k] + bias[j], for n (1 .. GPT_LINEAR_MOST) weights of shape [out_i,
 * in] whose outputs lie side by side in y [..., out_1 + ... + out_n]. A weight may have any dtype but i64, and any
 * strides of which one is 1; weights that are adjacent in one storage are multiplied as one. biases: each [out_i] or
 * NULL.
 */
GptTensor *gpt_linear(GptEnv *env, GptTensor *x, int n, GptTensor *const *weights, GptTensor *const *biases);

#endif
