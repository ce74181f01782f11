#include "core/ops/layer_norm.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/column_sums.h"
#include "core/base/parallel.h"

#define CHUNK_ROWS 32 /* of a backward */

typedef struct Rows {
  float *y;                   /* [rows, n] */
  const float *x;             /* [rows, n] */
  const float *weight, *bias; /* [n]; bias may be NULL */
  float *stats;               /* [rows, 2]: mean and 1/deviation, or NULL */
  int64_t n;
  float eps;
} Rows;

static void normalise(void *context, int64_t first, int64_t last) {
  const Rows *r = context;
  for (int64_t i = first; i < last; i++) {
    float *mean = r->stats != NULL ? &r->stats[2 * i] : NULL, *rstd = r->stats != NULL ? &r->stats[2 * i + 1] : NULL;
    gpt_kernels()->layer_norm(r->y + i * r->n, r->x + i * r->n, r->weight, r->bias, r->eps, r->n, mean, rstd);
  }
}

/* A backward: rows are cut into chunks by shape, each with sums of its own for weight and bias. */
typedef struct Back {
  float *dx, *sums;            /* [rows, n]; [chunks, 2, n]: dweight, dbias */
  const float *dy, *x;         /* [rows, n] */
  const float *weight, *stats; /* [n], [rows, 2] */
  int64_t rows, n;
} Back;

static void back_chunks(void *context, int64_t first, int64_t last) {
  const Back *b = context;
  for (int64_t chunk = first; chunk < last; chunk++) {
    float *dweight = b->sums + chunk * 2 * b->n, *dbias = dweight + b->n;
    int64_t end = (chunk + 1) * CHUNK_ROWS < b->rows ? (chunk + 1) * CHUNK_ROWS : b->rows;
    memset(dweight, 0, (size_t)(2 * b->n) * sizeof *dweight);
    for (int64_t i = chunk * CHUNK_ROWS; i < end; i++)
      gpt_kernels()->layer_norm_backward(b->dx + i * b->n, dweight, dbias, b->dy + i * b->n, b->x + i * b->n, b->weight,
                                         b->stats[2 * i], b->stats[2 * i + 1], b->n);
  }
}

/* Hands out dweight (which = 0) or dbias (1) where it is wanted. */
static bool give_sums(GptEnv *env, GptNode *node, const Back *b, int64_t chunks, int which) {
  GptMatrix rows = {b->sums + which * b->n, chunks, b->n, 2 * b->n, 1};
  return !gpt_node_wants(node, 1 + which) || gpt_give_column_sums(env, node, 1 + which, rows);
}

static bool back(GptEnv *env, GptNode *node, const GptTensor *dy, GptTensor *dx) {
  GptTensor *x = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1), *stats = gpt_node_saved(node, 2);
  int64_t n = weight->shape[0], rows = gpt_tensor_numel(x) / n, chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  Back b = {gpt_floats(dx),     NULL, gpt_floats(dy), gpt_floats(x), gpt_floats(weight),
            gpt_floats(stats), rows, n};
  b.sums = gpt_alloc_array(env, chunks * 2 * n, sizeof *b.sums);
  if (b.sums == NULL) return false;
  gpt_parallel_for(chunks, gpt_grain(2 * n * CHUNK_ROWS), back_chunks, &b);
  bool done = give_sums(env, node, &b, chunks, 0) && give_sums(env, node, &b, chunks, 1);
  gpt_free(env, b.sums);
  return done;
}

/* inputs: x, weight, bias; saves: x, weight (contiguous), stats */
static bool layer_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  GptTensor *dx = gpt_tensor_like(env, gpt_node_saved(node, 0));
  bool done = dy != NULL && dx != NULL && back(env, node, dy, dx);
  gpt_tensor_release(dy);
  if (done && gpt_node_wants(node, 0)) return gpt_node_give(env, node, 0, dx);
  gpt_tensor_release(dx);
  return done;
}

static const GptOp layer_norm_op = {"layer_norm", layer_norm_backward};

static bool check_norm_shapes(GptEnv *env, const GptTensor *x, const GptTensor *weight, const GptTensor *bias) {
  char xs[GPT_SHAPE_TEXT];
  long long n = (long long)weight->shape[0];
  if (weight->ndim != 1 || n < 1 || (bias != NULL && !gpt_same_shape(weight, bias)))
    return gpt_fail(env, "layer_norm: weight and bias of one shape [n] expected, got %s",
                    gpt_tensor_shape_text(weight, xs));
  if (x->ndim < 1 || x->shape[x->ndim - 1] != n)
    return gpt_fail(env, "layer_norm: an input of shape [..., %lld] expected, got %s", n, gpt_tensor_shape_text(x, xs));
  return true;
}

/* y, and the rows' means and deviations where a backward will want them, for contiguous inputs. */
static GptTensor *compute_norm(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, double eps,
                               GptTensor *stats) {
  GptTensor *y = gpt_tensor_new(env, GPT_F32, x->ndim, x->shape);
  if (y == NULL) return NULL;
  int64_t n = weight->shape[0];
  Rows rows = {gpt_floats(y),
               gpt_floats(x),
               gpt_floats(weight),
               bias != NULL ? gpt_floats(bias) : NULL,
               stats != NULL ? gpt_floats(stats) : NULL,
               n,
               (float)eps};
  gpt_parallel_for(gpt_tensor_numel(x) / n, gpt_grain(2 * n), normalise, &rows);
  return y;
}

GptTensor *gpt_layer_norm(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, double eps) {
  if (!check_norm_shapes(env, x, weight, bias)) return NULL;
  GptTensor *const inputs[] = {x, weight, bias};
  bool recorded = gpt_graph_wanted(env, 3, inputs);
  GptTensor *px = gpt_tensor_contiguous_floats(env, "layer_norm", x), *y = NULL;
  GptTensor *pw = gpt_tensor_contiguous_floats(env, "layer_norm: weight", weight);
  GptTensor *pb = gpt_tensor_contiguous_floats(env, "layer_norm: bias", bias);
  int64_t rows = gpt_tensor_numel(x) / weight->shape[0];
  GptTensor *stats = recorded ? gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){rows, 2}) : NULL;
  if (px != NULL && pw != NULL && (pb != NULL || bias == NULL) && (stats != NULL || !recorded))
    y = compute_norm(env, px, pw, pb, eps, stats);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &layer_norm_op, GPT_INPUTS(x, weight, bias), GPT_SAVES(px, pw, stats)});
  gpt_tensor_release(px);
  gpt_tensor_release(pw);
  gpt_tensor_release(pb);
  gpt_tensor_release(stats);
  return y;
}
