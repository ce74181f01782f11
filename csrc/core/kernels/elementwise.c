/* Kernels that take one element to one element. */
#include "core/kernels/functions.h"
#include "core/kernels/table.h"

void gpt_kernel(exp)(float *y, const float *x, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, exp_vector(load(x + i)));
  if (i < n) store_part(y + i, n - i, exp_vector(load_part(x + i, n - i, all(0))));
}

void gpt_kernel(tanh)(float *y, const float *x, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, tanh_vector(load(x + i)));
  if (i < n) store_part(y + i, n - i, tanh_vector(load_part(x + i, n - i, all(0))));
}

void gpt_kernel(gelu)(float *y, const float *x, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, gelu_vector(load(x + i)));
  if (i < n) store_part(y + i, n - i, gelu_vector(load_part(x + i, n - i, all(0))));
}

void gpt_kernel(gelu_backward)(float *dx, const float *x, const float *dy, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(dx + i, load(dy + i) * gelu_slope(load(x + i)));
  for (; i < n; i++) dx[i] = dy[i] * gelu_slope(all(x[i]))[0];
}

void gpt_kernel(add)(float *y, const float *a, const float *b, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, load(a + i) + load(b + i));
  for (; i < n; i++) y[i] = a[i] + b[i];
}

void gpt_kernel(axpy)(float *y, const float *x, float s, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, load(y + i) + s * load(x + i));
  for (; i < n; i++) y[i] += s * x[i];
}
