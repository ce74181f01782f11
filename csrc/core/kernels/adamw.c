/* The optimizer's kernel: one pass over a parameter, its gradient and its moments. */
#include "core/kernels/table.h"

/* Plain loops: the compiler makes vectors of them, square root and division included. */
void gpt_kernel(adamw)(float *restrict w, float *restrict mean, float *restrict square, const float *restrict grad,
                       const GptAdamStep *step, int64_t n) {
  const GptAdamStep s = *step;
  for (int64_t i = 0; i < n; i++) {
    float g = grad[i], m = mean[i] + s.mean_share * (g - mean[i]);
    float v = s.square_keep * square[i] + s.square_share * g * g;
    mean[i] = m;
    square[i] = v;
    w[i] = s.keep * w[i] - s.rate * (m / (sqrtf(v) * s.root_scale + s.eps));
  }
}
