#include "core/ops/create.h"

#include <math.h>

#include "core/base/random.h"

GptTensor *gpt_full(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, GptNumber value) {
  GptTensor *y = gpt_tensor_new(env, dtype, ndim, shape);
  if (y == NULL) return NULL;
  int64_t n = gpt_tensor_numel(y), *integers = gpt_integers(y);
  float *floats = gpt_floats(y);
  if (dtype == GPT_I64)
    for (int64_t i = 0; i < n; i++) integers[i] = value.integer;
  else
    for (int64_t i = 0; i < n; i++) floats[i] = (float)value.number;
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
  for (int64_t i = 0; y != NULL && i < n; i++) gpt_integers(y)[i] = first + i * step;
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

static int64_t to_integer(float x) {
  if (isnan(x)) return 0;
  if (x >= 0x1p63f) return INT64_MAX;
  return x <= -0x1p63f ? INT64_MIN : (int64_t)x;
}

static void convert_elements(GptTensor *y, const GptTensor *x) {
  int64_t n = gpt_tensor_numel(x), *integers = gpt_integers(y->storage->dtype == GPT_I64 ? y : x);
  float *floats = gpt_floats(y->storage->dtype == GPT_I64 ? x : y);
  if (y->storage->dtype == GPT_I64)
    for (int64_t i = 0; i < n; i++) integers[i] = to_integer(floats[i]);
  else
    for (int64_t i = 0; i < n; i++) floats[i] = (float)integers[i];
}

GptTensor *gpt_convert(GptEnv *env, const GptTensor *x, GptDtype dtype) {
  GptTensor *contiguous = gpt_tensor_copy(env, x);
  if (contiguous == NULL || x->storage->dtype == dtype) return contiguous;
  GptTensor *y = gpt_tensor_new(env, dtype, x->ndim, x->shape);
  if (y != NULL) convert_elements(y, contiguous);
  gpt_tensor_release(contiguous);
  return y;
}

GptTensor *gpt_shifted(GptEnv *env, const GptTensor *x, int64_t by) {
  GptTensor *y = gpt_tensor_copy(env, x);
  if (y == NULL) return NULL;
  int64_t n = gpt_tensor_numel(y), *integers = gpt_integers(y);
  for (int64_t i = 0; i < n; i++) integers[i] += by;
  return y;
}
