/* Layer normalisation (Ba, Kiros and Hinton 2016). */
#ifndef GPT_LAYER_NORM_H
#define GPT_LAYER_NORM_H

#include "core/tensor/tensor.h"

/* y = (x - mean) / sqrt(variance + eps) * weight + bias over the last dimension of x [..., n]; the variance is the
   biased one. weight and bias: [n], bias may be NULL. */
GptTensor *gpt_layer_norm(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, double eps);

#endif
