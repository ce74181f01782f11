/* Kernels that turn pairs of numbers, each by an angle of its own. */
#include "core/kernels/table.h"
#include "core/kernels/vector.h"

void gpt_kernel(rotate)(float *restrict y, const float *restrict x, const float *restrict c, const float *restrict s,
                        float way, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec a = load(x + i), b = load(x + n + i), cosine = load(c + i), sine = way * load(s + i);
    store(y + i, a * cosine - b * sine);
    store(y + n + i, b * cosine + a * sine);
  }
  for (; i < n; i++) {
    float a = x[i], b = x[n + i], sine = way * s[i];
    y[i] = a * c[i] - b * sine;
    y[n + i] = b * c[i] + a * sine;
  }
}

void gpt_kernel(rotate_neighbours)(float *restrict y, const float *restrict x, const float *restrict c,
                                   const float *restrict s, float way, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    float a = x[2 * i], b = x[2 * i + 1], sine = way * s[i];
    y[2 * i] = a * c[i] - b * sine;
    y[2 * i + 1] = b * c[i] + a * sine;
  }
}
