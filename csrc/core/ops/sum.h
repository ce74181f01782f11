/* Sums in a fixed order, with double accumulators: the same for any number of threads, and accurate for long ones. */
#ifndef GPT_SUM_H
#define GPT_SUM_H

#include "core/ops/axis.h"

/* y[outer, inner] = scale * sum over i of x[outer, i, inner], for x [outer, n, inner]. False where memory is short. */
bool gpt_sum_axis(GptEnv *env, float *y, const float *x, GptAxis axis, double scale);

#endif
