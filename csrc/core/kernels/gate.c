/* Kernels of gated layers: an activation of one row times another row, in one pass over both. */
#include "core/kernels/functions.h"
#include "core/kernels/table.h"

typedef Vec (*Activation)(Vec);

/* y = f(g) * u */
INLINE void gate(float *y, const float *g, const float *u, int64_t n, const Activation f) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, f(load(g + i)) * load(u + i));
  if (i < n) store_part(y + i, n - i, f(load_part(g + i, n - i, all(0))) * load_part(u + i, n - i, all(0)));
}

/* dg = dy * u * slope(g), du = dy * f(g) */
INLINE void gate_back(float *dg, float *du, const float *g, const float *u, const float *dy, int64_t n,
                      const Activation f, const Activation slope) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec d = load(dy + i), at = load(g + i);
    store(dg + i, d * load(u + i) * slope(at));
    store(du + i, d * f(at));
  }
  if (i == n) return;
  Vec d = load_part(dy + i, n - i, all(0)), at = load_part(g + i, n - i, all(0));
  store_part(dg + i, n - i, d * load_part(u + i, n - i, all(0)) * slope(at));
  store_part(du + i, n - i, d * f(at));
}

void gpt_kernel(gate)(GptActivation activation, float *y, const float *g, const float *u, int64_t n) {
  switch (activation) {
    case GPT_GELU: gate(y, g, u, n, gelu_vector); break;
    case GPT_GELU_EXACT: gate(y, g, u, n, gelu_exact_vector); break;
    case GPT_RELU: gate(y, g, u, n, relu_vector); break;
    case GPT_SILU: gate(y, g, u, n, silu_vector); break;
  }
}

void gpt_kernel(gate_backward)(GptActivation activation, float *dg, float *du, const float *g, const float *u,
                               const float *dy, int64_t n) {
  switch (activation) {
    case GPT_GELU: gate_back(dg, du, g, u, dy, n, gelu_vector, gelu_slope); break;
    case GPT_GELU_EXACT: gate_back(dg, du, g, u, dy, n, gelu_exact_vector, gelu_exact_slope); break;
    case GPT_RELU: gate_back(dg, du, g, u, dy, n, relu_vector, relu_slope); break;
    case GPT_SILU: gate_back(dg, du, g, u, dy, n, silu_vector, silu_slope); break;
  }
}
