/* Kernels that take one element to one element. */
#include "core/kernels/functions.h"
#include "core/kernels/table.h"

typedef Vec (*Function)(Vec);

INLINE void map(float *y, const float *x, int64_t n, const Function f) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, f(load(x + i)));
  if (i < n) store_part(y + i, n - i, f(load_part(x + i, n - i, all(1))));
}

/* dx = dy * slope(x) */
INLINE void map_back(float *dx, const float *x, const float *dy, int64_t n, const Function slope) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(dx + i, load(dy + i) * slope(load(x + i)));
  if (i < n) store_part(dx + i, n - i, load_part(dy + i, n - i, all(0)) * slope(load_part(x + i, n - i, all(0))));
}

void gpt_kernel(exp)(float *y, const float *x, int64_t n) { map(y, x, n, exp_vector); }
void gpt_kernel(log)(float *y, const float *x, int64_t n) { map(y, x, n, log_vector); }
void gpt_kernel(tanh)(float *y, const float *x, int64_t n) { map(y, x, n, tanh_vector); }
void gpt_kernel(gelu)(float *y, const float *x, int64_t n) { map(y, x, n, gelu_vector); }
void gpt_kernel(gelu_exact)(float *y, const float *x, int64_t n) { map(y, x, n, gelu_exact_vector); }

void gpt_kernel(gelu_backward)(float *dx, const float *x, const float *dy, int64_t n) {
  map_back(dx, x, dy, n, gelu_slope);
}

void gpt_kernel(gelu_exact_backward)(float *dx, const float *x, const float *dy, int64_t n) {
  map_back(dx, x, dy, n, gelu_exact_slope);
}

void gpt_kernel(sigmoid)(float *y, const float *x, int64_t n) { map(y, x, n, sigmoid_vector); }
void gpt_kernel(silu)(float *y, const float *x, int64_t n) { map(y, x, n, silu_vector); }

void gpt_kernel(sigmoid_backward)(float *dx, const float *x, const float *dy, int64_t n) {
  map_back(dx, x, dy, n, sigmoid_slope);
}

void gpt_kernel(silu_backward)(float *dx, const float *x, const float *dy, int64_t n) {
  map_back(dx, x, dy, n, silu_slope);
}

void gpt_kernel(add)(float *y, const float *a, const float *b, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, load(a + i) + load(b + i));
  for (; i < n; i++) y[i] = a[i] + b[i];
}
