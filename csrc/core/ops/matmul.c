#include "core/ops/matmul.h"

#include <string.h>

#include "core/ops/binary.h"
#include "core/ops/iterate.h"
#include "core/ops/shape.h"
#include "core/ops/sum_to.h"
#include "core/ops/tensor_matrix.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"
#include "core/base/scratch.h"

#define FEW 8 /* batches of fewer matrices than that, */
#define LARGE                                                                                                          \
  ((int64_t)1 << 20) /* of this many multiplications each, are cut inside each matrix, the others between them */

/* t as f32, outside the graph, in a layout that can be multiplied: a new reference. */
static GptTensor *matmul_operand(GptEnv *env, GptTensor *t) {
  GptTensor *floats = gpt_tensor_as_floats(env, "matmul", t);
  if (floats == NULL) return NULL;
  bool fits = gpt_matrix_fits(gpt_matrix_at(floats, 0));
  GptTensor *ready = fits ? gpt_tensor_detach(env, floats) : gpt_tensor_copy(env, floats);
  gpt_tensor_release(floats);
  return ready;
}

/* The dims of a and b before the last two, broadcast, into shape; returns how many, or -1. */
static int batch_shape(const GptTensor *a, const GptTensor *b, int64_t *shape) {
  int ndim = (a->ndim > b->ndim ? a->ndim : b->ndim) - 2;
  for (int d = 0; d < ndim; d++) {
    int in_a = d - (ndim + 2 - a->ndim), in_b = d - (ndim + 2 - b->ndim);
    int64_t size_a = in_a >= 0 ? a->shape[in_a] : 1, size_b = in_b >= 0 ? b->shape[in_b] : 1;
    if (size_a != size_b && size_a != 1 && size_b != 1) return -1;
    shape[d] = size_a == 1 ? size_b : size_a;
  }
  return ndim;
}

typedef struct Batches {
  const GptTensor *y, *a, *b; /* all with the same batch dims, a and b perhaps with strides of 0 there */
  GptScratch scratch;
} Batches;

static void multiply_batches(void *context, int64_t first, int64_t last) {
  Batches *m = context;
  float *scratch = gpt_scratch_take(&m->scratch);
  for (int64_t i = first; i < last; i++)
    gpt_matrix_multiply_serial(gpt_matrix_at(m->y, gpt_tensor_matrix(m->y, i)), gpt_matrix_at(m->a, gpt_tensor_matrix(m->a, i)),
                               gpt_matrix_at(m->b, gpt_tensor_matrix(m->b, i)), false, (GptCausal){0}, scratch);
  gpt_scratch_put(&m->scratch, scratch);
}

/* Many or small matrices, each on one thread. */
static bool share_batches(GptEnv *env, Batches *m, int64_t count, int64_t work) {
  int64_t grain = LARGE / (work > 0 ? work : 1) + 1, depth = m->a->shape[m->a->ndim - 1];
  const int64_t *size = m->y->shape + m->y->ndim - 2;
  int64_t floats = gpt_matrix_scratch(size[0], size[1], depth);
  if (!gpt_matrix_scratch_init(&m->scratch, env, floats, (count + grain - 1) / grain)) return false;
  gpt_parallel_for(count, grain, multiply_batches, m);
  gpt_scratch_free(&m->scratch, env);
  return true;
}

static bool multiply_batched(GptEnv *env, Batches m) {
  GptMatrix y = gpt_matrix_at(m.y, 0);
  int64_t depth = m.a->shape[m.a->ndim - 1], work = y.rows * y.columns * (depth > 0 ? depth : 1);
  int64_t count = work > 0 && y.rows * y.columns > 0 ? gpt_tensor_numel(m.y) / (y.rows * y.columns) : 0;
  bool done = true;
  if (count == 0) return true;
  if (count >= FEW || work < LARGE) return share_batches(env, &m, count, work);
  for (int64_t i = 0; i < count && done; i++)
    done = gpt_matrix_multiply(env, gpt_matrix_at(m.y, gpt_tensor_matrix(m.y, i)), gpt_matrix_at(m.a, gpt_tensor_matrix(m.a, i)),
                               gpt_matrix_at(m.b, gpt_tensor_matrix(m.b, i)), NULL, false);
  return done;
}

/* t with the batch dims repeated as in y: a view. */
static GptTensor *in_batches(GptEnv *env, GptTensor *t, const GptTensor *y) {
  int64_t shape[GPT_MAX_DIMS];
  if (t == NULL) return NULL;
  memcpy(shape, y->shape, sizeof shape);
  memcpy(shape + y->ndim - 2, t->shape + t->ndim - 2, 2 * sizeof *shape);
  return gpt_expand(env, t, y->ndim, shape);
}

/* y[...] = a b, outside the graph; y is contiguous. */
static bool multiply_into(GptEnv *env, GptTensor *y, GptTensor *a, GptTensor *b) {
  GptTensor *ready_a = matmul_operand(env, a), *ready_b = matmul_operand(env, b);
  GptTensor *all_a = gpt_tensor_then(ready_a, in_batches(env, ready_a, y));
  GptTensor *all_b = gpt_tensor_then(ready_b, in_batches(env, ready_b, y));
  bool done = all_a != NULL && all_b != NULL && multiply_batched(env, (Batches){.y = y, .a = all_a, .b = all_b});
  gpt_tensor_release(all_b);
  gpt_tensor_release(all_a);
  return done;
}

/* [..., m, k] as [rows, k]: a view where it is one. */
static GptTensor *vector_as_row(GptEnv *env, GptTensor *t) {
  return t == NULL ? NULL : gpt_reshape(env, t, 2, (int64_t[]){-1, t->shape[t->ndim - 1]});
}

/* One product for many batches: every row of a meets the same b. */
static bool multiply_rows(GptEnv *env, GptTensor *y, GptTensor *a, GptTensor *b) {
  GptTensor *loose = gpt_tensor_detach(env, a);
  GptTensor *rows_a = gpt_tensor_then(loose, vector_as_row(env, loose)), *rows_y = vector_as_row(env, y);
  bool done = rows_a != NULL && rows_y != NULL && multiply_into(env, rows_y, rows_a, b);
  gpt_tensor_release(rows_y);
  gpt_tensor_release(rows_a);
  return done;
}

/* For a and b with at least two dims, that fit. */
static GptTensor *forward(GptEnv *env, GptTensor *a, GptTensor *b) {
  int64_t shape[GPT_MAX_DIMS];
  int batches = batch_shape(a, b, shape);
  shape[batches] = a->shape[a->ndim - 2];
  shape[batches + 1] = b->shape[b->ndim - 1];
  GptTensor *y = gpt_tensor_new(env, GPT_F32, batches + 2, shape);
  bool by_rows = y != NULL && b->ndim == 2 && a->ndim > 2 && gpt_tensor_numel(a) > 0 && gpt_tensor_numel(y) > 0;
  if (y == NULL) return NULL;
  return gpt_tensor_if(by_rows ? multiply_rows(env, y, a, b) : multiply_into(env, y, a, b), y);
}

/* da = dy bT, db = aT dy, summed over what was broadcast */

/* x yT or xT y, summed to the shape of like. */
static GptTensor *product_like(GptEnv *env, GptTensor *x, bool transpose_x, GptTensor *y, const GptTensor *like) {
  GptTensor *turned =
      transpose_x ? gpt_transpose(env, x, x->ndim - 2, x->ndim - 1) : gpt_transpose(env, y, y->ndim - 2, y->ndim - 1);
  if (turned == NULL) return NULL;
  GptTensor *product = transpose_x ? forward(env, turned, y) : forward(env, x, turned);
  product = gpt_tensor_then(turned, product);
  return gpt_tensor_then(product, gpt_sum_to(env, product, like->ndim, like->shape));
}

/* The gradient of b [k, n] in one product over all rows of a [..., m, k]. */
static GptTensor *rows_gradient(GptEnv *env, GptTensor *a, GptTensor *dy, const GptTensor *b) {
  GptTensor *rows_a = vector_as_row(env, a), *rows_dy = vector_as_row(env, dy);
  GptTensor *db = rows_a != NULL && rows_dy != NULL ? product_like(env, rows_a, true, rows_dy, b) : NULL;
  gpt_tensor_release(rows_dy);
  return gpt_tensor_then(rows_a, db);
}

static bool matmul_backward(GptEnv *env, GptNode *node, GptTensor *dy) {
  GptTensor *a = gpt_node_saved(node, 0), *b = gpt_node_saved(node, 1);
  if (gpt_node_wants(node, 0) && !gpt_node_give(env, node, 0, product_like(env, dy, false, b, a))) return false;
  if (!gpt_node_wants(node, 1)) return true;
  bool by_rows = b->ndim == 2 && a->ndim > 2 && gpt_tensor_numel(a) > 0 && gpt_tensor_numel(dy) > 0;
  return gpt_node_give(env, node, 1, by_rows ? rows_gradient(env, a, dy, b) : product_like(env, a, true, dy, b));
}

static const GptOp matmul_op = {"matmul", matmul_backward};

static GptTensor *multiply_tensors(GptEnv *env, GptTensor *a, GptTensor *b) {
  return gpt_graph_add(env, forward(env, a, b), (GptOpCall){.op = &matmul_op, GPT_INPUTS(a, b), GPT_SAVES(a, b)});
}

/* y without the dim that a vector was given; takes over y. */
static GptTensor *drop_dim(GptEnv *env, GptTensor *y, int from_last) {
  return y == NULL ? NULL : gpt_tensor_then(y, gpt_squeeze(env, y, y->ndim - from_last));
}

static bool check_fit(GptEnv *env, const GptTensor *a, const GptTensor *b) {
  char text_a[GPT_SHAPE_TEXT], text_b[GPT_SHAPE_TEXT];
  int64_t shape[GPT_MAX_DIMS];
  gpt_tensor_shape_text(a, text_a);
  gpt_tensor_shape_text(b, text_b);
  if (a->ndim == 0 || b->ndim == 0)
    return gpt_fail(env,
                    "matmul: tensors with at least one dimension expected, got shapes %s and %s; * multiplies by a "
                    "number",
                    text_a, text_b);
  int64_t depth_b = b->ndim == 1 ? b->shape[0] : b->shape[b->ndim - 2];
  bool vectors = a->ndim == 1 && b->ndim == 1;
  if (a->shape[a->ndim - 1] == depth_b && (vectors || batch_shape(a, b, shape) >= 0)) return true;
  return gpt_fail(env,
                  "matmul: shapes %s and %s do not fit: [..., m, k] and [..., k, n] expected, and equal sizes (or 1) "
                  "before them",
                  text_a, text_b);
}

GptTensor *gpt_matmul(GptEnv *env, GptTensor *a, GptTensor *b) {
  if (a == NULL || b == NULL || !check_fit(env, a, b)) return NULL;
  GptTensor *rows = a->ndim == 1 ? gpt_unsqueeze(env, a, 0) : gpt_tensor_retain(a);
  GptTensor *columns = b->ndim == 1 ? gpt_unsqueeze(env, b, 1) : gpt_tensor_retain(b);
  GptTensor *y = rows != NULL && columns != NULL ? multiply_tensors(env, rows, columns) : NULL;
  y = gpt_tensor_then(rows, gpt_tensor_then(columns, y));
  if (b->ndim == 1) y = drop_dim(env, y, 1);
  if (a->ndim == 1) y = drop_dim(env, y, b->ndim == 1 ? 1 : 2);
  return y;
}

GptTensor *gpt_outer(GptEnv *env, GptTensor *a, GptTensor *b) {
  char text_a[GPT_SHAPE_TEXT], text_b[GPT_SHAPE_TEXT];
  if (a == NULL || b == NULL) return NULL;
  if (a->ndim != 1 || b->ndim != 1)
    return gpt_fail_null(env, "outer: two vectors expected, got shapes %s and %s", gpt_tensor_shape_text(a, text_a),
                         gpt_tensor_shape_text(b, text_b));
  GptTensor *floats_a = gpt_tensor_as_floats(env, "outer", a), *floats_b = gpt_tensor_as_floats(env, "outer", b);
  GptTensor *column = gpt_unsqueeze(env, floats_a, 1); /* of which a product with broadcasting makes [n, m] */
  GptTensor *y = gpt_tensor_then(column, gpt_mul(env, column, floats_b));
  gpt_tensor_release(floats_b);
  return gpt_tensor_then(floats_a, y);
}
