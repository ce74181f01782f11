/*
 * Muon (Jordan 2024): of a matrix's gradient with momentum, the nearest orthogonal matrix is the direction of its step,
 * so that all its singular values become about 1. The step is 0.2 * sqrt(the longer side) times lr, the size of AdamW's
 * (Liu et al. 2025, Muon is scalable for LLM training), so that one rate fits both:
 *
 *   buffer = momentum * buffer + grad
 *   direction = orthogonal(grad + momentum * buffer)        without nesterov: of buffer
 *   w = (1 - lr * weight_decay) * w - lr * 0.2 * sqrt(max(rows, columns)) * direction
 *
 * What is no matrix, and groups without `matrices`, are AdamW's.
 */
#include <math.h>
#include <string.h>

#include "core/linalg/matrix.h"
#include "core/train/optimizer_kind.h"

#define ROUNDS 5

enum { WEIGHT_DECAY = 3, MOMENTUM, NESTEROV, MATRICES }; /* after AdamW's betas and eps */

static const GptRateRow rates[] = {{"betas", GPT_RATE_SHARES, {0.9, 0.95}}, {"eps", GPT_RATE_NUMBER, {1e-8}},
                                   {"weight_decay", GPT_RATE_NUMBER, {0.1}}, {"momentum", GPT_RATE_SHARE, {0.95}},
                                   {"nesterov", GPT_RATE_SWITCH, {1}},       {"matrices", GPT_RATE_SWITCH, {1}},
                                   {.name = NULL}};

/* SGD's kernel on a direction that is 0 leaves what it would add to a weight. */
static GptStepNumbers muon_numbers(const double *r, double lr, int64_t step) {
  (void)lr, (void)step;
  return (GptStepNumbers){
      .sgd = {.rate = -1, .decay = 0, .momentum = (float)r[MOMENTUM], .nesterov = r[NESTEROV] != 0}};
}

static void muon_update(float *direction, float *const *moments, const float *grad, const GptStepNumbers *s, int64_t n) {
  gpt_kernels()->sgd(direction, moments[0], grad, &s->sgd, n);
}

static GptMatrixStep matrix_numbers(const double *r, double lr, int64_t rows, int64_t columns) {
  double longer = (double)(rows > columns ? rows : columns);
  return (GptMatrixStep){.keep = (float)(1 - lr * r[WEIGHT_DECAY]), .rate = (float)(lr * 0.2 * sqrt(longer))};
}

static int64_t smaller_of(int64_t a, int64_t b) { return a < b ? a : b; }

/* Another direction, its square and the square's polynomial, and what products need. */
static int64_t matrix_scratch(int64_t rows, int64_t columns) {
  int64_t side = smaller_of(rows, columns), longer = rows + columns - side;
  return rows * columns + 2 * side * side + gpt_matrix_scratch(longer, longer, longer);
}

static GptMatrix plain_matrix(float *data, int64_t rows, int64_t columns) {
  return (GptMatrix){data, rows, columns, columns, 1};
}

static void matrix_product(GptMatrix c, GptMatrix a, GptMatrix b, bool add, float *scratch) {
  gpt_matrix_multiply_serial(c, a, b, add, (GptCausal){.keys = GPT_NOT_CAUSAL}, scratch);
}

/* y = a * x + b * y */
static void blend(float *restrict y, const float *restrict x, float a, float b, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i] = a * x[i] + b * y[i];
}

/* To a norm of 1, which no singular value exceeds. */
static void normalise_matrix(float *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i] * x[i];
  float scale = (float)(1 / (sqrt(sum) + 1e-7));
  for (int64_t i = 0; i < n; i++) x[i] *= scale;
}

/*
 * Newton and Schulz's iteration on all singular values at once: x = a x + b x x' x + c x x' x x' x. With these
 * coefficients values from 0.01 to 1 come to between 0.7 and 1.2 in five rounds. The square is of the shorter side.
 */
static void orthogonalise(float *direction, int64_t rows, int64_t columns, float *scratch) {
  static const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  int64_t side = smaller_of(rows, columns), n = rows * columns;
  float *squared = scratch + n, *polynomial = squared + side * side, *more = polynomial + side * side;
  GptMatrix x = plain_matrix(direction, rows, columns), y = plain_matrix(scratch, rows, columns);
  GptMatrix s = plain_matrix(squared, side, side), p = plain_matrix(polynomial, side, side);
  normalise_matrix(direction, n);
  for (int round = 0; round < ROUNDS; round++) {
    GptMatrix other = gpt_matrix_transposed(x);
    if (rows <= columns) matrix_product(s, x, other, false, more);
    else matrix_product(s, other, x, false, more);
    matrix_product(p, s, s, false, more);
    blend(polynomial, squared, b, c, side * side);
    if (rows <= columns) matrix_product(y, p, x, false, more);
    else matrix_product(y, x, p, false, more);
    blend(direction, scratch, 1, a, n);
  }
}

static const GptMatrixRule matrix_rule = {matrix_scratch, orthogonalise, matrix_numbers};

static const GptUpdateRule muon_update_rule = {.n_moments = 1,
                                               .moments = {{"momentum_buffer", false}},
                                               .numbers = muon_numbers,
                                               .update = muon_update,
                                               .matrix = &matrix_rule};

static const GptUpdateRule *muon_rule(const double *r, int ndim, const int64_t *shape) {
  bool matrix = r[MATRICES] != 0 && ndim == 2 && shape[0] > 1 && shape[1] > 1;
  return matrix ? &muon_update_rule : &gpt_adamw_rule;
}

const GptOptimizerKind gpt_muon = {.name = "Muon", .lr = 1e-3, .rates = rates, .rule = muon_rule};
