/* Gradients as plain numbers: their norm, and clipping by it (gpt_clip_grad_norm of optimizer.h does both). */
#ifndef GPT_GRAD_NORM_H
#define GPT_GRAD_NORM_H

#include "core/base/env.h"

/* Numbers of a gradient. */
typedef struct GptGradient {
  float *numbers; /* [n] */
  int64_t n;
} GptGradient;

/* The sum of all squares; the same for any number of threads. False and a message without memory. */
bool gpt_sum_squares(GptEnv *env, int64_t count, const GptGradient *gradients, double *sum);

/* Multiplies all numbers. */
void gpt_scale_gradients(int64_t count, const GptGradient *gradients, double factor);

#endif
