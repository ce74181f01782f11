#include "core/ops/softmax.h"

#include "core/kernels/kernels.h"
#include "core/ops/axis.h"
#include "core/ops/iterate.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"

/* Rows of n: y from x, or (dy not NULL) y = dx from x = the saved output and dy. */
typedef struct Rows {
  float *y;            /* [rows, n] */
  const float *x, *dy; /* [rows, n] */
  int64_t n;
} Rows;

static void softmax_rows(void *context, int64_t first, int64_t last) {
  const Rows *rows = context;
  for (int64_t row = first; row < last; row++)
    gpt_kernels()->softmax(rows->y + row * rows->n, rows->x + row * rows->n, 1, rows->n);
}

/* dx = y (dy - sum of dy y) */
static void softmax_rows_backward(void *context, int64_t first, int64_t last) {
  const Rows *rows = context;
  for (int64_t row = first; row < last; row++) {
    const float *y = rows->x + row * rows->n, *dy = rows->dy + row * rows->n;
    float *dx = rows->y + row * rows->n, sum = gpt_kernels()->dot(y, dy, rows->n);
    gpt_kernels()->softmax_backward(dx, y, dy, sum, 1, rows->n);
  }
}

/* A large log-sum-exp is rounded coarsely: what it left over is taken off as well. */
static void log_softmax_rows(void *context, int64_t first, int64_t last) {
  const Rows *rows = context;
  for (int64_t row = first; row < last; row++) {
    const float *x = rows->x + row * rows->n;
    float *y = rows->y + row * rows->n, total = gpt_kernels()->log_sum_exp(x, rows->n);
    for (int64_t i = 0; i < rows->n; i++) y[i] = x[i] - total;
    float rest = gpt_kernels()->log_sum_exp(y, rows->n);
    for (int64_t i = 0; i < rows->n; i++) y[i] -= rest;
  }
}

/* dx = dy - exp(y) sum of dy */
static void log_softmax_rows_backward(void *context, int64_t first, int64_t last) {
  const Rows *rows = context;
  for (int64_t row = first; row < last; row++) {
    const float *y = rows->x + row * rows->n, *dy = rows->dy + row * rows->n;
    float *dx = rows->y + row * rows->n, sum = gpt_kernels()->sum(dy, rows->n);
    gpt_kernels()->exp(dx, y, rows->n);
    for (int64_t i = 0; i < rows->n; i++) dx[i] = dy[i] - dx[i] * sum;
  }
}

typedef struct Kind {
  GptOp op;
  GptTask forward, backward;
} Kind;

static void run_rows(GptTask task, GptTensor *y, const GptTensor *x, const GptTensor *dy) {
  GptAxis axis = gpt_tensor_axis(x, x->ndim - 1);
  Rows rows = {gpt_floats(y), gpt_floats(x), dy != NULL ? gpt_floats(dy) : NULL, axis.n};
  gpt_parallel_for(axis.n > 0 ? axis.outer : 0, gpt_grain(4 * axis.n), task, &rows);
}

/* Rows along dim in x's order of dimensions again, contiguous; takes over rows. */
static GptTensor *moved_back(GptEnv *env, GptTensor *rows, int dim) {
  if (rows == NULL || rows->ndim == 0 || dim == rows->ndim - 1) return rows;
  GptTensor *view = gpt_tensor_then(rows, gpt_dim_moved(env, rows, rows->ndim - 1, dim));
  return gpt_tensor_then(view, gpt_tensor_as_contiguous(env, view));
}

static bool softmax_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  int dim = (int)node->integers[0];
  GptTensor *y = gpt_rows_along(env, gpt_node_saved(node, 0), dim), *dy = gpt_rows_along(env, grad, dim);
  GptTensor *dx = y != NULL ? gpt_tensor_like(env, dy) : NULL;
  if (dx != NULL) run_rows(((const Kind *)node->op)->backward, dx, y, dy);
  gpt_tensor_release(y);
  gpt_tensor_release(dy);
  return gpt_node_give(env, node, 0, moved_back(env, dx, dim));
}

static GptTensor *compute_softmax(GptEnv *env, const Kind *kind, GptTensor *input, int dim) {
  GptTensor *x = gpt_tensor_as_floats(env, kind->op.name, input), *rows = gpt_rows_along(env, x, dim);
  GptTensor *y = gpt_tensor_like(env, rows);
  if (y != NULL) run_rows(kind->forward, y, rows, NULL);
  y = gpt_tensor_then(rows, moved_back(env, y, dim));
  y = gpt_graph_add(env, y, (GptOpCall){.op = &kind->op, GPT_INPUTS(x), GPT_SAVES(y), .integers = {dim}});
  return gpt_tensor_then(x, y);
}

static const Kind softmax_kind = {{"softmax", softmax_backward}, softmax_rows, softmax_rows_backward};
static const Kind log_softmax_kind = {{"log_softmax", softmax_backward}, log_softmax_rows, log_softmax_rows_backward};

GptTensor *gpt_softmax(GptEnv *env, GptTensor *x, int dim) { return compute_softmax(env, &softmax_kind, x, dim); }

GptTensor *gpt_log_softmax(GptEnv *env, GptTensor *x, int dim) {
  return compute_softmax(env, &log_softmax_kind, x, dim);
}
