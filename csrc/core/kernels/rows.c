/* Kernels over one row: sums, softmax, layer norm. Sums run in four vectors side by side, added up at the end. */
#include "core/kernels/functions.h"
#include "core/kernels/table.h"

#define SIDE 4
#define STEP (SIDE * WIDTH)

INLINE float sum_sides(const Vec v[SIDE]) { return sum_lanes((v[0] + v[1]) + (v[2] + v[3])); }

float gpt_kernel(dot)(const float *a, const float *b, int64_t n) {
  Vec sums[SIDE] = {{0}};
  int64_t i = 0;
  for (; i + STEP <= n; i += STEP)
    for (int s = 0; s < SIDE; s++) sums[s] += load(a + i + s * WIDTH) * load(b + i + s * WIDTH);
  for (; i + WIDTH <= n; i += WIDTH) sums[0] += load(a + i) * load(b + i);
  if (i < n) sums[1] += load_part(a + i, n - i, all(0)) * load_part(b + i, n - i, all(0));
  return sum_sides(sums);
}

float gpt_kernel(sum)(const float *x, int64_t n) {
  Vec sums[SIDE] = {{0}};
  int64_t i = 0;
  for (; i + STEP <= n; i += STEP)
    for (int s = 0; s < SIDE; s++) sums[s] += load(x + i + s * WIDTH);
  for (; i + WIDTH <= n; i += WIDTH) sums[0] += load(x + i);
  if (i < n) sums[1] += load_part(x + i, n - i, all(0));
  return sum_sides(sums);
}

/* The sum of (x - mean)^2 */
static float sum_squares(const float *x, float mean, int64_t n) {
  Vec sums[SIDE] = {{0}}, d;
  int64_t i = 0;
  for (; i + STEP <= n; i += STEP)
    for (int s = 0; s < SIDE; s++) {
      d = load(x + i + s * WIDTH) - mean;
      sums[s] += d * d;
    }
  for (; i + WIDTH <= n; i += WIDTH) {
    d = load(x + i) - mean;
    sums[0] += d * d;
  }
  if (i < n) {
    d = load_part(x + i, n - i, all(mean)) - mean;
    sums[1] += d * d;
  }
  return sum_sides(sums);
}

void gpt_kernel(layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps, int64_t n,
                            float *mean_out, float *rstd_out) {
  float mean = gpt_kernel(sum)(x, n) / (float)n;
  float rstd = 1.0f / sqrtf(sum_squares(x, mean, n) / (float)n + eps);
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec v = (load(x + i) - mean) * rstd;
    if (weight != NULL) v *= load(weight + i);
    if (bias != NULL) v += load(bias + i);
    store(y + i, v);
  }
  for (; i < n; i++) y[i] = (x[i] - mean) * rstd * (weight != NULL ? weight[i] : 1) + (bias != NULL ? bias[i] : 0);
  if (mean_out != NULL) *mean_out = mean;
  if (rstd_out != NULL) *rstd_out = rstd;
}

float gpt_kernel(rms_norm)(float *y, const float *x, const float *weight, float offset, float eps, int64_t n) {
  float scale = 1.0f / sqrtf(gpt_kernel(dot)(x, x, n) / (float)n + eps);
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) {
    Vec v = load(x + i) * scale;
    if (weight != NULL) v *= load(weight + i) + offset;
    store(y + i, v);
  }
  for (; i < n; i++) y[i] = x[i] * scale * (weight != NULL ? weight[i] + offset : 1);
  return scale;
}

/* The greatest of scale * x */
static float greatest(const float *x, float scale, int64_t n) {
  Vec most[SIDE];
  int64_t i = 0;
  for (int s = 0; s < SIDE; s++) most[s] = all(-INFINITY);
  for (; i + STEP <= n; i += STEP)
    for (int s = 0; s < SIDE; s++) most[s] = at_least(scale * load(x + i + s * WIDTH), most[s]);
  for (; i + WIDTH <= n; i += WIDTH) most[0] = at_least(scale * load(x + i), most[0]);
  float result = max_lanes(at_least(at_least(most[0], most[1]), at_least(most[2], most[3])));
  for (; i < n; i++) result = scale * x[i] > result ? scale * x[i] : result;
  return result;
}

/* The sum of e^(scale * x - most), each also written to y where there is one */
INLINE float sum_exp(float *y, const float *x, float scale, float most, int64_t n) {
  Vec sums[2] = {{0}};
  int64_t i = 0;
  for (; i + 2 * WIDTH <= n; i += 2 * WIDTH)
    for (int s = 0; s < 2; s++) {
      Vec e = exp_vector(scale * load(x + i + s * WIDTH) - most);
      if (y != NULL) store(y + i + s * WIDTH, e);
      sums[s] += e;
    }
  for (; i < n; i += WIDTH) {
    int64_t left = n - i < WIDTH ? n - i : WIDTH;
    Vec e = exp_vector(scale * load_part(x + i, left, all(0)) - most), zero = all(0);
    memcpy(&zero, &e, (size_t)left * sizeof(float));
    if (y != NULL) store_part(y + i, left, e);
    sums[0] += zero;
  }
  return sum_lanes(sums[0] + sums[1]);
}

float gpt_kernel(softmax)(float *y, const float *x, float scale, int64_t n) {
  float most = greatest(x, scale, n);
  float sum = sum_exp(y, x, scale, most, n), inverse = 1.0f / sum;
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, load(y + i) * inverse);
  for (; i < n; i++) y[i] *= inverse;
  return most + logf(sum);
}

void gpt_kernel(softmax_again)(float *y, const float *x, float scale, float log_sum, int64_t n) {
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH) store(y + i, exp_vector(scale * load(x + i) - log_sum));
  if (i < n) store_part(y + i, n - i, exp_vector(scale * load_part(x + i, n - i, all(0)) - log_sum));
}

float gpt_kernel(greatest)(const float *x, int64_t n) {
  Vec most[SIDE], v;
  Ints numbers = (Ints){0} - 1;
  int64_t i = 0;
  for (int s = 0; s < SIDE; s++) most[s] = all(-INFINITY);
  for (; i + STEP <= n; i += STEP)
    for (int s = 0; s < SIDE; s++) {
      v = load(x + i + s * WIDTH);
      numbers &= v < INFINITY;
      most[s] = choose(v > most[s], v, most[s]);
    }
  for (; i < n; i += WIDTH) {
    v = i + WIDTH <= n ? load(x + i) : load_part(x + i, n - i, most[0]);
    numbers &= v < INFINITY;
    most[0] = choose(v > most[0], v, most[0]);
  }
  for (int s = 1; s < SIDE; s++) most[0] = choose(most[s] > most[0], most[s], most[0]);
  for (int lane = 0; lane < WIDTH; lane++)
    if (numbers[lane] == 0) return NAN;
  return max_lanes(most[0]);
}

float gpt_kernel(log_sum_exp)(const float *x, int64_t n) {
  float most = greatest(x, 1.0f, n);
  return most + logf(sum_exp(NULL, x, 1.0f, most, n));
}
