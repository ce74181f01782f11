#include "core/ops/linear.h"

#include <string.h>

#include "core/ops/column_sums.h"
#include "core/ops/tensor_matrix.h"
#include "core/tensor/graph.h"

/* x [..., k] contiguous, as rows of k. */
static GptMatrix linear_rows(const GptTensor *x) {
  int64_t k = x->shape[x->ndim - 1], rows = k > 0 ? gpt_tensor_numel(x) / k : 0;
  return (GptMatrix){gpt_floats(x), rows, k, k, 1};
}

static GptMatrix columns_of(GptMatrix m, int64_t first, int64_t count) {
  return (GptMatrix){m.data + first * m.column_stride, m.rows, count, m.row_stride, m.column_stride};
}

static bool biases_adjoin(const GptTensor *a, const GptTensor *b) {
  if (a == NULL || b == NULL) return a == b;
  return a->storage == b->storage && a->stride[0] == 1 && b->stride[0] == 1 && b->offset == a->offset + a->shape[0];
}

/* How many of the weights from i on run as one product; their outputs are counted into *out. */
static int run_length(int i, int n, GptTensor *const *weights, GptTensor *const *biases, int64_t *out) {
  int last = i;
  GptWeight run = gpt_weight_of(weights[i]);
  while (last + 1 < n && gpt_tensor_adjoins(weights[last], weights[last + 1]) &&
         biases_adjoin(biases[last], biases[last + 1]))
    run.rows += weights[++last]->shape[0];
  bool fits = gpt_weight_fits(&run);
  *out = fits ? run.rows : weights[i]->shape[0];
  return fits ? last - i + 1 : 1;
}

/* Makes a bias contiguous, and a weight that cannot be multiplied where it lies; both results are new references. */
static bool usable(GptEnv *env, GptTensor *weight, GptTensor *bias, GptTensor **w, GptTensor **b) {
  *w = gpt_usable_weight(env, weight);
  *b = gpt_tensor_contiguous_floats(env, "linear: bias", bias);
  return *w != NULL && (bias == NULL || *b != NULL);
}

static bool multiply_run(GptEnv *env, GptMatrix y, GptMatrix x, GptTensor *weight, GptTensor *bias) {
  GptTensor *w, *b;
  bool done = usable(env, weight, bias, &w, &b);
  if (done) {
    GptWeight run = gpt_weight_of(w);
    run.rows = y.columns; /* the whole run */
    done = gpt_weight_multiply(env, y, x, run, b != NULL ? gpt_floats(b) : NULL);
  }
  gpt_tensor_release(w);
  gpt_tensor_release(b);
  return done;
}

static bool multiply_weights(GptEnv *env, GptTensor *y, GptTensor *x, int n, GptTensor *const *weights,
                         GptTensor *const *biases) {
  GptMatrix out = linear_rows(y), in = linear_rows(x);
  int64_t at = 0, width;
  for (int i = 0; i < n; at += width) {
    int run = run_length(i, n, weights, biases, &width);
    if (!multiply_run(env, columns_of(out, at, width), in, weights[i], biases[i])) return false;
    i += run;
  }
  return true;
}

/* dy transposed * x, added to what the weight has accumulated where it can be. */
static bool give_weight_gradient(GptEnv *env, GptNode *node, int i, GptMatrix dy, GptMatrix x) {
  GptTensor *accumulated = gpt_node_accumulated(node, i);
  GptTensor *dw = accumulated;
  if (dw == NULL) dw = gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){dy.columns, x.columns});
  if (dw == NULL) return false;
  bool done = gpt_matrix_multiply(env, gpt_matrix_at(dw, 0), gpt_matrix_transposed(dy), x, NULL, accumulated != NULL);
  if (accumulated != NULL) gpt_tensor_written(dw);
  else if (done) done = gpt_node_give(env, node, i, dw);
  else gpt_tensor_release(dw);
  return done;
}

/* dx (+)= dy * weight */
static bool add_input_gradient(GptEnv *env, GptTensor *dx, GptMatrix dy, GptTensor *weight, bool add) {
  GptTensor *w = gpt_usable_weight(env, weight);
  bool done = w != NULL && gpt_weight_multiply_back(env, linear_rows(dx), dy, gpt_weight_of(w), add);
  gpt_tensor_release(w);
  return done;
}

/* dx = sum over the weights of dy_i * weight_i */
static GptTensor *input_gradient(GptEnv *env, GptNode *node, GptMatrix dy, int n) {
  GptTensor *dx = gpt_tensor_like(env, gpt_node_saved(node, 0));
  int64_t at = 0;
  bool done = dx != NULL;
  for (int i = 0; i < n && done; i++) {
    GptTensor *weight = gpt_node_saved(node, 1 + i);
    done = add_input_gradient(env, dx, columns_of(dy, at, weight->shape[0]), weight, i > 0);
    at += weight->shape[0];
  }
  if (done) return dx;
  gpt_tensor_release(dx);
  return NULL;
}

/* inputs: x, the weights, the biases; saves: x (contiguous), the weights */
static bool linear_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  int n = (node->n_inputs - 1) / 2;
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  if (dy == NULL) return false;
  GptMatrix rows = linear_rows(dy), x = linear_rows(gpt_node_saved(node, 0));
  bool done = !gpt_node_wants(node, 0) || gpt_node_give(env, node, 0, input_gradient(env, node, rows, n));
  int64_t at = 0;
  for (int i = 0; i < n && done; i++) {
    int64_t out = gpt_node_saved(node, 1 + i)->shape[0];
    GptMatrix part = columns_of(rows, at, out);
    if (gpt_node_wants(node, 1 + i)) done = give_weight_gradient(env, node, 1 + i, part, x);
    if (done && gpt_node_wants(node, 1 + n + i)) done = gpt_give_column_sums(env, node, 1 + n + i, part);
    at += out;
  }
  gpt_tensor_release(dy);
  return done;
}

static const GptOp linear_op = {"linear", linear_backward};

static bool check_linear_shapes(GptEnv *env, const GptTensor *x, int n, GptTensor *const *weights,
                                GptTensor *const *biases) {
  char xs[GPT_SHAPE_TEXT], ws[GPT_SHAPE_TEXT];
  for (int i = 0; i < n; i++) {
    const GptTensor *w = weights[i], *b = biases[i];
    if (w->ndim != 2)
      return gpt_fail(env, "linear: a weight of shape [out, in] expected, got %s", gpt_tensor_shape_text(w, ws));
    if (w->storage->dtype == GPT_I64) return gpt_tensor_check_floats(env, "linear: weight", w);
    if (x->ndim < 1 || x->shape[x->ndim - 1] != w->shape[1])
      return gpt_fail(env, "linear: an input of shape [..., %lld] expected for a weight [out, in] of %s, got %s",
                      (long long)w->shape[1], gpt_tensor_shape_text(w, ws), gpt_tensor_shape_text(x, xs));
    if (b != NULL && (b->ndim != 1 || b->shape[0] != w->shape[0]))
      return gpt_fail(env, "linear: a bias of shape [%lld] expected, got %s", (long long)w->shape[0],
                      gpt_tensor_shape_text(b, ws));
  }
  return true;
}

static GptTensor *record_linear(GptEnv *env, GptTensor *y, GptTensor *x, GptTensor *contiguous, int n,
                                GptTensor *const *weights, GptTensor *const *biases) {
  GptTensor *inputs[1 + 2 * GPT_LINEAR_MOST] = {x}, *saves[1 + GPT_LINEAR_MOST] = {contiguous};
  memcpy(inputs + 1, weights, (size_t)n * sizeof *weights);
  memcpy(inputs + 1 + n, biases, (size_t)n * sizeof *biases);
  memcpy(saves + 1, weights, (size_t)n * sizeof *weights);
  return gpt_graph_add(
      env, y, (GptOpCall){.op = &linear_op, .inputs = inputs, .n_inputs = 1 + 2 * n, .saves = saves, .n_saves = 1 + n});
}

/* y [..., sum of out] for a contiguous x [..., in] */
static GptTensor *compute_linear(GptEnv *env, GptTensor *x, int n, GptTensor *const *weights,
                                 GptTensor *const *biases) {
  int64_t shape[GPT_MAX_DIMS];
  memcpy(shape, x->shape, sizeof shape);
  shape[x->ndim - 1] = 0;
  for (int i = 0; i < n; i++) shape[x->ndim - 1] += weights[i]->shape[0];
  GptTensor *y = gpt_tensor_new(env, GPT_F32, x->ndim, shape);
  if (y == NULL || multiply_weights(env, y, x, n, weights, biases)) return y;
  gpt_tensor_release(y);
  return NULL;
}

GptTensor *gpt_linear(GptEnv *env, GptTensor *x, int n, GptTensor *const *weights, GptTensor *const *biases) {
  if (!check_linear_shapes(env, x, n, weights, biases)) return NULL;
  GptTensor *contiguous = gpt_tensor_contiguous_floats(env, "linear", x);
  if (contiguous == NULL) return NULL;
  GptTensor *y = compute_linear(env, contiguous, n, weights, biases);
  y = record_linear(env, y, x, contiguous, n, weights, biases);
  gpt_tensor_release(contiguous);
  return y;
}
