/* Kernels of backward passes. */
#include "core/kernels/table.h"
#include "core/kernels/vector.h"

void gpt_kernel(layer_norm_backward)(float *dx, float *dweight, float *dbias, const float *dy, const float *x,
                                     const float *weight, float mean, float rstd, int64_t n) {
  Vec sum = {0}, sum_h = {0};
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec d = load(dy + i), h = (load(x + i) - mean) * rstd;
    Vec each = d * load(weight + i);
    sum += each;
    sum_h += each * h;
    store(dweight + i, load(dweight + i) + d * h);
    store(dbias + i, load(dbias + i) + d);
  }
  float g = sum_lanes(sum), gh = sum_lanes(sum_h);
  for (int64_t j = i; j < n; j++) {
    float h = (x[j] - mean) * rstd;
    g += dy[j] * weight[j];
    gh += dy[j] * weight[j] * h;
    dweight[j] += dy[j] * h;
    dbias[j] += dy[j];
  }
  g /= (float)n;
  gh /= (float)n;
  for (i = 0; i + WIDTH <= n; i += WIDTH) {
    Vec h = (load(x + i) - mean) * rstd;
    store(dx + i, rstd * (load(dy + i) * load(weight + i) - g - h * gh));
  }
  for (; i < n; i++) dx[i] = rstd * (dy[i] * weight[i] - g - (x[i] - mean) * rstd * gh);
}

void gpt_kernel(rms_norm_backward)(float *dx, float *dweight, const float *dy, const float *x, const float *weight,
                                   float offset, float scale, int64_t n) {
  Vec sum = {0};
  float rest = 0;
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec d = load(dy + i), h = load(x + i) * scale;
    sum += h * (weight != NULL ? d * (load(weight + i) + offset) : d);
    if (dweight != NULL) store(dweight + i, load(dweight + i) + d * h);
  }
  for (int64_t j = i; j < n; j++) {
    float h = x[j] * scale;
    rest += h * dy[j] * (weight != NULL ? weight[j] + offset : 1);
    if (dweight != NULL) dweight[j] += dy[j] * h;
  }
  float mean = (sum_lanes(sum) + rest) / (float)n;
  for (i = 0; i + WIDTH <= n; i += WIDTH) {
    Vec d = load(dy + i);
    if (weight != NULL) d *= load(weight + i) + offset;
    store(dx + i, scale * (d - load(x + i) * scale * mean));
  }
  for (; i < n; i++) dx[i] = scale * (dy[i] * (weight != NULL ? weight[i] + offset : 1) - x[i] * scale * mean);
}

void gpt_kernel(softmax_backward)(float *dx, const float *y, const float *dy, float mean, float scale, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(dx + i, scale * load(y + i) * (load(dy + i) - mean));
  for (; i < n; i++) dx[i] = scale * y[i] * (dy[i] - mean);
}

#define ABREAST 4 /* vectors of columns */

/* V vectors of columns down all rows */
INLINE void add_strip(float *sums, const float *x, int64_t ld, int64_t m, const int V) {
  Vec strip[ABREAST];
  UNROLL for (int v = 0; v < V; v++) strip[v] = load(sums + v * WIDTH);
  for (int64_t i = 0; i < m; i++)
    UNROLL for (int v = 0; v < V; v++) strip[v] += load(x + i * ld + v * WIDTH);
  UNROLL for (int v = 0; v < V; v++) store(sums + v * WIDTH, strip[v]);
}

void gpt_kernel(add_columns)(float *sums, const float *x, int64_t ld, int64_t m, int64_t n) {
  int64_t j = 0;
  for (; j + ABREAST * WIDTH <= n; j += ABREAST * WIDTH) add_strip(sums + j, x + j, ld, m, ABREAST);
  for (; j + WIDTH <= n; j += WIDTH) add_strip(sums + j, x + j, ld, m, 1);
  for (; j < n; j++)
    for (int64_t i = 0; i < m; i++) sums[j] += x[i * ld + j];
}
