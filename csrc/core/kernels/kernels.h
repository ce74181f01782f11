/*
 * The kernels: inner loops over contiguous floats, compiled once per instruction set and chosen when the
 * process first needs one. Everything above this file is portable C; everything that knows vectors is below it.
 */
#ifndef GPT_KERNELS_H
#define GPT_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/dtype.h"
#include "core/kernels/weights.h"

/* One step of AdamW in numbers; train/adamw.c says what they stand for. */
typedef struct GptAdamStep {
  float mean_share;                /* mean += mean_share * (g - mean) */
  float square_keep, square_share; /* square = square_keep * square + square_share * g^2 */
  float keep, rate;                /* w = keep * w - rate * mean / (root_scale * sqrt(square) + eps) */
  float root_scale, eps;
} GptAdamStep;

/* One of SGD; train/sgd.c. */
typedef struct GptSgdStep {
  float rate, decay, momentum;
  bool nesterov;
} GptSgdStep;

/* One of any kind of optimizer. */
typedef union GptStepNumbers {
  GptAdamStep adamw;
  GptSgdStep sgd;
} GptStepNumbers;

#define GPT_MOMENT_BLOCK 64 /* numbers that share a scale, of moments in 8 bits */

typedef enum GptActivation { GPT_GELU, GPT_GELU_EXACT, GPT_RELU, GPT_SILU } GptActivation;

/* What causal attention leaves out of a product: query i sees keys 0 .. past + i. What its other sums do not need may
   be computed or not. */
typedef enum GptCausalKeys {
  GPT_NOT_CAUSAL,
  GPT_KEYS_ARE_COLUMNS, /* c [queries, keys]: a key that its query does not see is not wanted */
  GPT_KEYS_ARE_DEPTH,   /* a [queries, keys] is 0 there */
  GPT_KEYS_ARE_ROWS,    /* a [keys, queries] is 0 there */
} GptCausalKeys;

typedef struct GptCausal {
  GptCausalKeys keys;
  int64_t past; /* may be negative for a part of a product */
} GptCausal;

/*
 * A block of a matrix product: c[m, n] (+)= left[m, k] * right[k, n] (+ bias[n]). Element (i, p) of the left side lies
 * at left[i / rows * left_group + i % rows * left_row + p * left_column], with the `rows` of GptPanels; the right side
 * is in panels; a bias (or NULL) is filled up like them.
 */
typedef struct GptPanelBlock {
  float *c;
  int64_t ldc;
  const float *left;
  int64_t left_group, left_row, left_column;
  const float *panels, *bias;
  int64_t m, n, k;
  bool add; /* to what c holds, instead of writing it */
  GptCausal causal;
} GptPanelBlock;

/*
 * Products from panels: `columns` columns of the right side [k, n] stand together, row after row, the last panel
 * filled up with zeros; `rows` rows of a left side that lies transposed likewise. The sum of one element runs over
 * p = 0 .. k-1 in that order, so it depends on nothing but k.
 */
typedef struct GptPanels {
  int64_t rows, columns;
  void (*multiply)(const GptPanelBlock *block);
  void (*pack_rows)(float *panels, const float *right, int64_t ld, int64_t k, int64_t n);    /* from right[k, n] */
  void (*pack_columns)(float *panels, const float *right, int64_t ld, int64_t k, int64_t n); /* from right[n, k] */
  void (*pack_left)(float *panels, const float *left, int64_t ld, int64_t k, int64_t m);     /* from left[k, m] */
} GptPanels;

/* Panels by tiles (amx.h), in place of others once the system allows them. */
typedef struct GptTiles {
  const GptWeightPanels *const *panels; /* by dtype; NULL: none of that dtype, or at all */
  bool (*allowed)(void);
} GptTiles;

/*
 * Shapes are in brackets; ld is the distance between rows in floats. Every sum has a fixed order that
 * depends on the shapes alone.
 */
typedef struct GptKernels {
  const char *name; /* of the set: dispatch.c lists them */

  const GptPanels *panels; /* NULL: OpenBLAS does all products */
  const GptWeightPanels *float_panels; /* for products of many rows in f32; NULL: the panels above, and OpenBLAS, do them */

  /* For weights of each dtype. Those of f32 are for products in bf16. gpt_weight_panels chooses among panels. */
  const GptWeightKernels *weights;
  GptTiles tiles;

  /* sum of a[i] * b[i] */
  float (*dot)(const float *a, const float *b, int64_t n);

  /* For few rows (m = 1 .. GPT_SKINNY_LINES, GPT_SKINNY_ROWS for the second), weights read once from memory:
     y[i, j] = sum over k of x[i, k] * w[j, k] (+ bias[j], bias may be NULL), j in [first, last).
     The sum of one element never depends on m, nor on where first and last lie. */
  void (*skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                      const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);
  /* The same for a weight stored [in, out]: y[i, j] = sum over k of x[i, k] * w[k, j] (+ bias[j]). */
  void (*skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                         const float *bias, int64_t m, int64_t k, int64_t first, int64_t last);

  /* Elementwise, y may be x. exp is good to about 2 ulp over the whole range (0 for -inf, inf and nan kept). */
  void (*exp)(float *y, const float *x, int64_t n);
  /* The natural logarithm, good to about 1 ulp (-inf for 0, NaN below). */
  void (*log)(float *y, const float *x, int64_t n);
  void (*tanh)(float *y, const float *x, int64_t n);
  /* GELU, tanh form (Hendrycks and Gimpel 2016): 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) */
  void (*gelu)(float *y, const float *x, int64_t n);
  /* dx[i] = dy[i] * gelu'(x[i]) */
  void (*gelu_backward)(float *dx, const float *x, const float *dy, int64_t n);
  /* GELU by the error function: x P(x), P the normal distribution, to about 6 ulp, also where P is tiny */
  void (*gelu_exact)(float *y, const float *x, int64_t n);
  void (*gelu_exact_backward)(float *dx, const float *x, const float *dy, int64_t n);

  /* 1 / (1 + e^-x), and x / (1 + e^-x); their gradients are finite everywhere */
  void (*sigmoid)(float *y, const float *x, int64_t n);
  void (*sigmoid_backward)(float *dx, const float *x, const float *dy, int64_t n);
  void (*silu)(float *y, const float *x, int64_t n);
  void (*silu_backward)(float *dx, const float *x, const float *dy, int64_t n);

  /* y = f(g) * u with f the activation; and back: dg = dy * u * f'(g), du = dy * f(g) */
  void (*gate)(GptActivation activation, float *y, const float *g, const float *u, int64_t n);
  void (*gate_backward)(GptActivation activation, float *dg, float *du, const float *g, const float *u, const float *dy,
                        int64_t n);

  /* Turns n pairs by the angles whose cosines and sines are c and s: forward with way = 1, back with -1. A pair is
     x[i] and x[n + i], or in the second x[2i] and x[2i + 1]. */
  void (*rotate)(float *restrict y, const float *restrict x, const float *restrict c, const float *restrict s, float way,
                 int64_t n);
  void (*rotate_neighbours)(float *restrict y, const float *restrict x, const float *restrict c, const float *restrict s,
                            float way, int64_t n);

  /* Dropout: y[i] = x[i] * scale where element first + i of the mask with that seed is kept, else 0. An element is
     dropped when its 32 random bits, a hash of the seed and its index, are below the threshold. Past an index that is a
     multiple of 2^32, a call repeats the words of earlier ones. y may be x. */
  void (*drop)(float *y, const float *x, uint64_t seed, uint64_t first, uint32_t threshold, float scale, int64_t n);

  /* One row: y = exp(scale * x - max) / sum; y may be x. Returns the log-sum-exp of scale * x. */
  float (*softmax)(float *y, const float *x, float scale, int64_t n);
  /* The same row from the log-sum-exp that softmax returned: y = exp(scale * x - log_sum) */
  void (*softmax_again)(float *y, const float *x, float scale, float log_sum, int64_t n);
  /* One row back through softmax(scale * x), where mean is the sum of y * dy: dx = scale * y * (dy - mean); dx may be
     dy */
  void (*softmax_backward)(float *dx, const float *y, const float *dy, float mean, float scale, int64_t n);
  /* the greatest of n numbers, -inf of none; nan where one of them is nan or inf */
  float (*greatest)(const float *x, int64_t n);
  /* log-sum-exp of a row */
  float (*log_sum_exp)(const float *x, int64_t n);

  /* One row of layer norm: y = (x - mean) / sqrt(variance + eps) * weight + bias (weight and bias may be NULL: 1
     and 0); mean and 1 / sqrt(variance + eps) are returned through the pointers, which may be NULL. */
  void (*layer_norm)(float *y, const float *x, const float *weight, const float *bias, float eps, int64_t n,
                     float *mean, float *rstd);

  /* One row back through layer norm, where mean and rstd are the forward's and h = (x - mean) * rstd: dx;
     dweight += dy * h and dbias += dy. With g = dy * weight: dx = rstd * (g - mean(g) - h * mean(g * h)). */
  void (*layer_norm_backward)(float *dx, float *dweight, float *dbias, const float *dy, const float *x,
                              const float *weight, float mean, float rstd, int64_t n);

  /* One row of RMS norm: y = x / sqrt(mean(x^2) + eps) * (weight + offset), or without weight (NULL) no factor.
     Returns 1 / sqrt(mean(x^2) + eps). */
  float (*rms_norm)(float *y, const float *x, const float *weight, float offset, float eps, int64_t n);

  /* One row back, where scale is what the forward returned and h = x * scale: dweight += dy * h (unless NULL), and
     with g = dy * (weight + offset): dx = scale * (g - h * mean(g * h)). */
  void (*rms_norm_backward)(float *dx, float *dweight, const float *dy, const float *x, const float *weight, float offset,
                            float scale, int64_t n);

  /* y[i] = a[i] + b[i] */
  void (*add)(float *y, const float *a, const float *b, int64_t n);
  /* sum of the elements in a fixed order */
  float (*sum)(const float *x, int64_t n);

  /* sums[j] += x[0, j] + .. + x[m-1, j] for the n columns of rows that are ld apart */
  void (*add_columns)(float *sums, const float *x, int64_t ld, int64_t m, int64_t n);

  /* A step of AdamW for n numbers of a parameter: w, mean and square are written. */
  void (*adamw)(float *w, float *mean, float *square, const float *grad, const GptAdamStep *step, int64_t n);
  /* A step of SGD for n numbers: w and buffer (NULL without momentum) are written. */
  void (*sgd)(float *w, float *buffer, const float *grad, const GptSgdStep *step, int64_t n);

  /* An optimizer's moments as floats, and back, rounded up or down at random: by a hash of the seed and of the number's
     index, that of the first one being given. In bf16, and in 8 bits (moments.c), where whole blocks are read and
     written, and a positive moment has no sign. */
  void (*read_bf16)(float *y, const uint16_t *x, int64_t n);
  void (*write_bf16)(uint16_t *y, const float *x, uint64_t seed, int64_t first, int64_t n);
  void (*read_q8)(float *y, const uint8_t *codes, const float *scales, bool positive, int64_t blocks);
  void (*write_q8)(uint8_t *codes, float *scales, const float *x, bool positive, uint64_t seed, int64_t first,
                   int64_t blocks);
} GptKernels;

#define GPT_SKINNY_ROWS 8
#define GPT_SKINNY_LINES 48 /* rows by weights stored [out, in], up to which that is faster than panels */

/* The best table for this processor. The environment variable LUAGPT_KERNELS chooses a lesser one by name: generic,
   avx2, avxvnni, avx512, avx512vnni, avx512bf16, amx; on aarch64, where generic is NEON: dotprod, i8mm. And where there is
   avx512bf16, tiles: amx in plain C, slow, to check it. */
const GptKernels *gpt_kernels(void);

/* Its panels for weights of that dtype, or NULL. The same in every call: what is packed by one is multiplied by it. */
const GptWeightPanels *gpt_weight_panels(GptDtype dtype);

#endif
