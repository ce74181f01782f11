/* A step of SGD; train/sgd.c says what it computes. */
#include "core/kernels/table.h"

void gpt_kernel(sgd)(float *restrict w, float *restrict buffer, const float *restrict grad, const GptSgdStep *step,
                     int64_t n) {
  const GptSgdStep s = *step;
  if (buffer == NULL) {
    for (int64_t i = 0; i < n; i++) w[i] -= s.rate * (grad[i] + s.decay * w[i]);
    return;
  }
  for (int64_t i = 0; i < n; i++) {
    float g = grad[i] + s.decay * w[i], b = s.momentum * buffer[i] + g;
    buffer[i] = b;
    w[i] -= s.rate * (s.nesterov ? g + s.momentum * b : b);
  }
}
