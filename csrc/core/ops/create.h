/* Tensors from nothing: filled, counted, drawn at random, converted. Nothing here is recorded. */
#ifndef GPT_OPS_CREATE_H
#define GPT_OPS_CREATE_H

#include "core/tensor/tensor.h"

/* A number of either dtype: integer is what an i64 tensor takes, number what an f32 one does. */
typedef struct GptNumber {
  double number;
  int64_t integer;
} GptNumber;

GptTensor *gpt_full(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, GptNumber value);

/* first, first + step, ... up to last, which is included where a step lands on it (step is not 0). */
GptTensor *gpt_arange_floats(GptEnv *env, double first, double last, double step);
GptTensor *gpt_arange_integers(GptEnv *env, int64_t first, int64_t last, int64_t step);

/* n numbers at equal distances, both ends included. */
GptTensor *gpt_linspace(GptEnv *env, double first, double last, int64_t n);

/* From the environment's random state: uniform in [0, 1), standard normal, integers in [low, high), a permutation of 0
 * .. n-1. */
GptTensor *gpt_rand(GptEnv *env, int ndim, const int64_t *shape);
GptTensor *gpt_randn(GptEnv *env, int ndim, const int64_t *shape);
GptTensor *gpt_randint(GptEnv *env, int64_t low, int64_t high, int ndim, const int64_t *shape);
GptTensor *gpt_randperm(GptEnv *env, int64_t n);

/* A contiguous copy of an i64 tensor with a number added to each: positions from 0 to those from 1, and back. */
GptTensor *gpt_shifted(GptEnv *env, const GptTensor *x, int64_t by);

#endif
