/*
 * Reductions over one dimension (0-based), or over all (GPT_ALL_DIMS). keepdim leaves the reduced dimensions with
 * size 1. All but the positions are recorded. Sums have double accumulators and a fixed order.
 */
#ifndef GPT_REDUCE_H
#define GPT_REDUCE_H

#include "core/ops/axis.h"

/* f32, or i64 for an i64. An empty sum is 0. */
GptTensor *gpt_sum(GptEnv *env, GptTensor *x, int dim, bool keepdim);

/* f32. An empty mean is NaN. */
GptTensor *gpt_mean(GptEnv *env, GptTensor *x, int dim, bool keepdim);

/* sum of (x - mean)^2 / max(0, n - correction) */
GptTensor *gpt_var(GptEnv *env, GptTensor *x, int dim, bool keepdim, double correction);

/* The square root of that. The gradient is 0 where it is 0. */
GptTensor *gpt_std(GptEnv *env, GptTensor *x, int dim, bool keepdim, double correction);

/* (sum of |x|^p)^(1/p); the largest |x| for p = infinity, the least for -infinity, how many are not 0 for p = 0. Where
 * there is no derivative, at 0, the gradient is 0; elements as large as the infinite norm share its gradient. */
GptTensor *gpt_norm(GptEnv *env, GptTensor *x, double p, int dim, bool keepdim);

/*
 * The largest and the least element, x's dtype; a NaN counts as either. Along one dimension the first of equal ones
 * gets the gradient, and *positions (if not NULL) is its index, i64. Over all dimensions equal ones share the gradient,
 * and *positions is left alone.
 */
GptTensor *gpt_max(GptEnv *env, GptTensor *x, int dim, bool keepdim, GptTensor **positions);
GptTensor *gpt_min(GptEnv *env, GptTensor *x, int dim, bool keepdim, GptTensor **positions);

/* The index of the first largest or least element, i64; over all dimensions, into the elements in their order. */
GptTensor *gpt_argmax(GptEnv *env, GptTensor *x, int dim, bool keepdim);
GptTensor *gpt_argmin(GptEnv *env, GptTensor *x, int dim, bool keepdim);

#endif
