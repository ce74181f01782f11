/* Root mean square normalisation (Zhang and Sennrich 2019). */
#ifndef GPT_RMS_NORM_H
#define GPT_RMS_NORM_H

#include "core/tensor/tensor.h"

/* y = x / sqrt(mean(x^2) + eps) * (weight + offset) over the last dimension of x [..., n]; weight: [n], or NULL for no
   factor. */
GptTensor *gpt_rms_norm(GptEnv *env, GptTensor *x, GptTensor *weight, double eps, double offset);

#endif
