/*
 * The kernels: inner loops over contiguous floats, compiled once per instruction set and chosen when the
 * process first needs one. Everything above this file is portable C; everything that knows vectors is below it.
 */
#ifndef GPT_KERNELS_H
#define GPT_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* One step of AdamW in numbers; optimizer.h says what they stand for. */
typedef struct GptAdamStep {
  float mean_share;                /* mean += mean_share * (g - mean) */
  float square_keep, square_share; /* square = square_keep * square + square_share * g^2 */
  float keep, rate;                /* w = keep * w - rate * mean / (root_scale * sqrt(square) + eps) */
  float root_scale, eps;
} GptAdamStep;

/*
 * Shapes are in brackets; ld is the distance between rows in floats. Every sum has a fixed order that
 * depends on the shapes alone.
 */
typedef struct GptKernels {
  const char *name; /* "generic", "avx2", "avx512" */

  /* sum of a[i] * b[i] */
  float (*dot)(const float *a, const float *b, int64_t n);
  /* y[i] += s * x[i] */
  void (*axpy)(float *y, const float *x, float s, int64_t n);

  /* For few rows (m = 1 .. GPT_SKINNY_ROWS), weights read once from memory:
     y[i, j] = sum over k of x[i, k] * w[j, k] (+ bias[j], bias may be NULL), j in [first, last).
     The sum of one element never depends on m, nor on where first and last lie. */
  void (*skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                      const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);
  /* The same for a weight stored [in, out]: y[i, j] = sum over k of x[i, k] * w[k, j] (+ bias[j]). */
  void (*skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                         const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);

  /* Elementwise, y may be x. exp is good to about 2 ulp over the whole range (0 for -inf, inf and nan kept). */
  void (*exp)(float *y, const float *x, int64_t n);
  void (*tanh)(float *y, const float *x, int64_t n);
  /* GELU, tanh form (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
  void (*gelu)(float *y, const float *x, int64_t n);
  /* dx[i] = dy[i] * gelu'(x[i]) */
  void (*gelu_backward)(float *dx, const float *x, const float *dy, int64_t n);

  /* One row: y = exp(scale * x - max) / sum; y may be x. Answers the log-sum-exp of scale * x. */
  float (*softmax)(float *y, const float *x, float scale, int64_t n);
  /* log-sum-exp of a row */
  float (*log_sum_exp)(const float *x, int64_t n);

  /* One row of layer norm: y = (x - mean) / sqrt(variance + eps) * weight + bias (weight and bias may be NULL: 1
     and 0); mean and 1 / sqrt(variance + eps) are answered through the pointers, which may be NULL. */
  void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps, int64_t n,
                     float *mean, float *rstd);

  /* One row back through layer norm, where mean and rstd are the forward's and h = (x - mean) * rstd: dx;
     dweight += dy * h and dbias += dy. With g = dy * weight: dx = rstd * (g - mean(g) - h * mean(g * h)). */
  void (*layer_norm_backward)(float *dx, float *dweight, float *dbias, const float *dy, const float *x,
                              const float *weight, float mean, float rstd, int64_t n);

  /* y[i] = a[i] + b[i] */
  void (*add)(float *y, const float *a, const float *b, int64_t n);
  /* sum of the elements in a fixed order */
  float (*sum)(const float *x, int64_t n);

  /* A step of AdamW for n numbers of a parameter: w, mean and square are written. */
  void (*adamw)(float *w, float *mean, float *square, const float *grad, const GptAdamStep *step, int64_t n);
} GptKernels;

#define GPT_SKINNY_ROWS 8

/* The best table for this processor. The environment variable LUAGPT_KERNELS=generic|avx2|avx512 chooses a lesser
   one. */
const GptKernels *gpt_kernels(void);

#endif
