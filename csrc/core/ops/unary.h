/* Functions of one tensor, element by element. i64 is turned into f32. Each is recorded. */
#ifndef GPT_UNARY_H
#define GPT_UNARY_H

#include "core/tensor/tensor.h"

GptTensor *gpt_neg(GptEnv *env, GptTensor *x);
GptTensor *gpt_exp(GptEnv *env, GptTensor *x);
GptTensor *gpt_log(GptEnv *env, GptTensor *x);
GptTensor *gpt_sqrt(GptEnv *env, GptTensor *x); /* gradient at 0: inf */
GptTensor *gpt_tanh(GptEnv *env, GptTensor *x);
GptTensor *gpt_abs(GptEnv *env, GptTensor *x);  /* gradient at 0: 0 */
GptTensor *gpt_relu(GptEnv *env, GptTensor *x); /* gradient at 0: 0 */

/* GELU (Hendrycks and Gimpel 2016): the tanh form, and x times the normal distribution function by erf. */
GptTensor *gpt_gelu(GptEnv *env, GptTensor *x);
GptTensor *gpt_gelu_exact(GptEnv *env, GptTensor *x);

/* 1 / (1 + e^-x), and x times that (the sigmoid linear unit, Elfwing et al. 2018) */
GptTensor *gpt_sigmoid(GptEnv *env, GptTensor *x);
GptTensor *gpt_silu(GptEnv *env, GptTensor *x);

GptTensor *gpt_sin(GptEnv *env, GptTensor *x);
GptTensor *gpt_cos(GptEnv *env, GptTensor *x);
GptTensor *gpt_rsqrt(GptEnv *env, GptTensor *x); /* 1 / sqrt(x) */

/* cap * tanh(x / cap): within -cap and cap, and near x where it is small (cap above 0) */
GptTensor *gpt_softcap(GptEnv *env, GptTensor *x, double cap);

/* min(max(x, low), high); NaN leaves a side open. The gradient passes where low < x < high. */
GptTensor *gpt_clamp(GptEnv *env, GptTensor *x, double low, double high);

#endif
