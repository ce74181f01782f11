#include "core/ops/reduce.h"

#include <math.h>

#include "core/ops/binary.h"
#include "core/ops/iterate.h"
#include "core/ops/reduction.h"
#include "core/ops/sum.h"
#include "core/base/parallel.h"

/* Each element's gradient is the sum's, times the node's number (a mean's 1 / n). */
static bool sum_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *scale = gpt_tensor_number(env, gpt_reduction_number(node));
  GptTensor *scaled = gpt_tensor_then(scale, gpt_mul(env, grad, scale));
  return gpt_node_give(env, node, 0, gpt_tensor_then(scaled, gpt_stretched(env, node, scaled)));
}

static GptTensor *sum_floats(GptEnv *env, const GptOp *op, GptTensor *x, int dim, bool keepdim, double scale) {
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x), *y = gpt_reduced_new(env, GPT_F32, x, dim, keepdim);
  bool done = contiguous != NULL && y != NULL &&
              gpt_sum_axis(env, gpt_floats(y), gpt_floats(contiguous), gpt_tensor_axis(x, dim), scale);
  y = gpt_tensor_then(contiguous, gpt_tensor_if(done, y));
  return gpt_graph_add_reduction(env, op, y, x, dim, (GptTensor *const[2]){NULL, NULL}, scale);
}

static GptTensor *sum_integers(GptEnv *env, GptTensor *x, int dim, bool keepdim) {
  GptRows rows;
  if (!gpt_rows_of(env, x, dim, &rows)) return NULL;
  GptTensor *y = gpt_reduced_new(env, GPT_I64, x, dim, keepdim);
  for (int64_t row = 0; y != NULL && row < rows.count; row++) {
    uint64_t sum = 0; /* wraps around, as PyTorch's does */
    for (int64_t i = 0; i < rows.n; i++) sum += (uint64_t)gpt_integers(rows.x)[row * rows.n + i];
    gpt_integers(y)[row] = (int64_t)sum;
  }
  gpt_tensor_release(rows.x);
  return y;
}

static const GptOp sum_op = {"sum", sum_backward}, mean_op = {"mean", sum_backward};

GptTensor *gpt_sum(GptEnv *env, GptTensor *x, int dim, bool keepdim) {
  if (!gpt_tensor_check_plain(env, "sum", x)) return NULL;
  if (x->storage->dtype == GPT_I64) return sum_integers(env, x, dim, keepdim);
  return sum_floats(env, &sum_op, x, dim, keepdim, 1);
}

GptTensor *gpt_mean(GptEnv *env, GptTensor *x, int dim, bool keepdim) {
  GptTensor *floats = gpt_tensor_as_floats(env, "mean", x);
  if (floats == NULL) return NULL;
  double share = 1 / (double)gpt_tensor_axis(x, dim).n;
  return gpt_tensor_then(floats, sum_floats(env, &mean_op, floats, dim, keepdim, share));
}

/* The variance of rows or its root, or its way back. */
typedef struct Variance {
  const float *x, *dy; /* dy NULL: forward */
  float *y;            /* [rows], or backward [rows, n] */
  int64_t n;
  double divisor;
  const float *root; /* the roots of the variances, in a backward from them; NULL: from the variances */
  bool rooted;       /* forward */
} Variance;

static double row_mean(const float *x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; i++) sum += (double)x[i];
  return sum / (double)n;
}

static void var_rows(void *context, int64_t first, int64_t last) {
  const Variance *var = context;
  for (int64_t row = first; row < last; row++) {
    const float *x = var->x + row * var->n;
    double mean = row_mean(x, var->n), sum = 0;
    for (int64_t i = 0; i < var->n; i++) sum += ((double)x[i] - mean) * ((double)x[i] - mean);
    double variance = sum / var->divisor;
    var->y[row] = (float)(var->rooted ? sqrt(variance) : variance);
  }
}

/* The gradient of a row's variance. */
static double variance_gradient(const Variance *var, int64_t row) {
  if (var->root == NULL) return (double)var->dy[row];
  return var->root[row] == 0 ? 0 : (double)var->dy[row] / (2 * (double)var->root[row]);
}

static void var_rows_backward(void *context, int64_t first, int64_t last) {
  const Variance *var = context;
  for (int64_t row = first; row < last; row++) {
    const float *x = var->x + row * var->n;
    double mean = row_mean(x, var->n), scale = 2 * variance_gradient(var, row) / var->divisor;
    for (int64_t i = 0; i < var->n; i++) var->y[row * var->n + i] = (float)(scale * ((double)x[i] - mean));
  }
}

/* saved: x as rows, and the roots */
static bool var_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad), *roots = gpt_node_saved(node, 1);
  GptRows rows;
  if (dy == NULL || !gpt_gradient_rows(env, node, &rows)) return gpt_tensor_release(dy), false;
  Variance var = {.x = gpt_floats(gpt_node_saved(node, 0)), .dy = gpt_floats(dy), .y = gpt_floats(rows.x), .n = rows.n,
                  .divisor = gpt_reduction_number(node), .root = roots != NULL ? gpt_floats(roots) : NULL};
  gpt_parallel_for(rows.count, gpt_grain(rows.n), var_rows_backward, &var);
  gpt_tensor_release(dy);
  return gpt_give_rows(env, node, &rows);
}

static const GptOp var_op = {"var", var_backward}, std_op = {"std", var_backward};

static GptTensor *var_floats(GptEnv *env, const GptOp *op, GptTensor *x, int dim, bool keepdim, double correction) {
  GptRows rows;
  if (!gpt_rows_of(env, x, dim, &rows)) return NULL;
  bool rooted = op == &std_op;
  GptTensor *y = gpt_reduced_new(env, GPT_F32, x, dim, keepdim);
  double divisor = fmax(0, (double)rows.n - correction);
  if (y != NULL) {
    Variance var = {.x = gpt_floats(rows.x), .y = gpt_floats(y), .n = rows.n, .divisor = divisor, .rooted = rooted};
    gpt_parallel_for(rows.count, gpt_grain(rows.n), var_rows, &var);
  }
  y = gpt_graph_add_reduction(env, op, y, x, dim, (GptTensor *const[2]){rows.x, rooted ? y : NULL}, divisor);
  gpt_tensor_release(rows.x);
  return y;
}

static GptTensor *variance_of(GptEnv *env, const GptOp *op, GptTensor *x, int dim, bool keepdim, double correction) {
  GptTensor *floats = gpt_tensor_as_floats(env, op->name, x);
  if (floats == NULL) return NULL;
  return gpt_tensor_then(floats, var_floats(env, op, floats, dim, keepdim, correction));
}

GptTensor *gpt_var(GptEnv *env, GptTensor *x, int dim, bool keepdim, double correction) {
  return variance_of(env, &var_op, x, dim, keepdim, correction);
}

GptTensor *gpt_std(GptEnv *env, GptTensor *x, int dim, bool keepdim, double correction) {
  return variance_of(env, &std_op, x, dim, keepdim, correction);
}
