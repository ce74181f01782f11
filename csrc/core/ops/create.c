#include "core/ops/create.h"

#include <math.h>

#include "core/base/random.h"

/* By way of f32. */
static GptTensor *full_of(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, GptNumber value) {
  GptTensor *floats = gpt_full(env, GPT_F32, ndim, shape, value);
  GptTensor *y = floats != NULL ? gpt_tensor_convert(env, floats, dtype) : NULL;
  gpt_tensor_release(floats);
  return y;
}

GptTensor *gpt_full(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, GptNumber value) {
  if (dtype != GPT_F32 && dtype != GPT_I64) return full_of(env, dtype, ndim, shape, value);
  GptTensor *y = gpt_tensor_new(env, dtype, ndim, shape);
  if (y == NULL) return NULL;
  int64_t n = gpt_tensor_numel(y);
  if (dtype == GPT_I64)
    for (int64_t i = 0; i < n; i++) gpt_integers(y)[i] = value.integer;
  else
    for (int64_t i = 0; i < n; i++) gpt_floats(y)[i] = (float)value.number;
  return y;
}

/* How many steps lie between first and last; a last that rounding error alone keeps out of reach counts. */
static double steps_between(double first, double last, double step) {
  return floor((last - first) / step * (1 + 1e-12) + 1e-9);
}

GptTensor *gpt_arange_floats(GptEnv *env, double first, double last, double step) {
  double steps = steps_between(first, last, step);
  if (!(steps < 9e15))
    return gpt_fail_null(env, "arange: from %g to %g in steps of %g makes no finite number of elements", first, last,
                         step);
  int64_t n = steps < 0 ? 0 : (int64_t)steps + 1;
  GptTensor *y = gpt_tensor_new(env, GPT_F32, 1, &n);
  for (int64_t i = 0; y != NULL && i < n; i++) gpt_floats(y)[i] = (float)(first + (double)i * step);
  return y;
}

GptTensor *gpt_arange_integers(GptEnv *env, int64_t first, int64_t last, int64_t step) {
  bool reaches = step > 0 ? first <= last : first >= last;
  uint64_t distance = step > 0 ? (uint64_t)last - (uint64_t)first : (uint64_t)first - (uint64_t)last;
  uint64_t stride = step > 0 ? (uint64_t)step : 0 - (uint64_t)step, steps = distance / stride;
  if (reaches && steps > (uint64_t)1 << 60)
    return gpt_fail_null(env, "arange: %llu elements are too many", (unsigned long long)steps);
  int64_t n = reaches ? (int64_t)steps + 1 : 0;
  GptTensor *y = gpt_tensor_new(env, GPT_I64, 1, &n);
  for (int64_t i = 0; y != NULL && i < n; i++) /* the sum has room where the product has none */
    gpt_integers(y)[i] = (int64_t)((uint64_t)first + (uint64_t)i * (uint64_t)step);
  return y;
}

GptTensor *gpt_linspace(GptEnv *env, double first, double last, int64_t n) {
  GptTensor *y = gpt_tensor_new(env, GPT_F32, 1, &n);
  if (y == NULL) return NULL;
  double step = n > 1 ? (last - first) / (double)(n - 1) : 0;
  for (int64_t i = 0; i < n; i++) /* from both ends, so that both are exact */
    gpt_floats(y)[i] = (float)(i < (n + 1) / 2 ? first + (double)i * step : last - (double)(n - 1 - i) * step);
  return y;
}

GptTensor *gpt_rand(GptEnv *env, int ndim, const int64_t *shape) {
  GptTensor *y = gpt_tensor_new(env, GPT_F32, ndim, shape);
  if (y != NULL) gpt_random_uniform(&env->random, gpt_floats(y), gpt_tensor_numel(y), 0, 1);
  return y;
}

GptTensor *gpt_randn(GptEnv *env, int ndim, const int64_t *shape) {
  GptTensor *y = gpt_tensor_new(env, GPT_F32, ndim, shape);
  if (y != NULL) gpt_random_normal(&env->random, gpt_floats(y), gpt_tensor_numel(y), 0, 1);
  return y;
}

GptTensor *gpt_randint(GptEnv *env, int64_t low, int64_t high, int ndim, const int64_t *shape) {
  GptTensor *y = gpt_tensor_new(env, GPT_I64, ndim, shape);
  if (y != NULL) gpt_random_integers(&env->random, gpt_integers(y), gpt_tensor_numel(y), low, high);
  return y;
}

GptTensor *gpt_randperm(GptEnv *env, int64_t n) {
  GptTensor *y = gpt_tensor_new(env, GPT_I64, 1, &n);
  if (y != NULL) gpt_random_permutation(&env->random, gpt_integers(y), n);
  return y;
}

GptTensor *gpt_shifted(GptEnv *env, const GptTensor *x, int64_t by) {
  GptTensor *y = gpt_tensor_copy(env, x);
  if (y == NULL) return NULL;
  int64_t n = gpt_tensor_numel(y), *integers = gpt_integers(y);
  for (int64_t i = 0; i < n; i++) integers[i] += by;
  return y;
}
