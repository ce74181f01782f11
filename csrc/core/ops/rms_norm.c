#include "core/ops/rms_norm.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/ops/column_sums.h"
#include "core/tensor/graph.h"

#define CHUNK_ROWS 32 /* of a backward */

typedef struct RmsRows {
  float *y;            /* [rows, n] */
  const float *x;      /* [rows, n] */
  const float *weight; /* [n], or NULL */
  float *scales;       /* [rows], or NULL */
  int64_t n;
  float eps, offset;
} RmsRows;

static void rms_rows(void *context, int64_t first, int64_t last) {
  const RmsRows *r = context;
  for (int64_t i = first; i < last; i++) {
    float scale = gpt_kernels()->rms_norm(r->y + i * r->n, r->x + i * r->n, r->weight, r->offset, r->eps, r->n);
    if (r->scales != NULL) r->scales[i] = scale;
  }
}

/* A backward: rows are cut into chunks by shape, each with sums of its own for the weight. */
typedef struct RmsBack {
  float *dx, *sums;            /* [rows, n]; [chunks, n], or NULL */
  const float *dy, *x, *weight; /* [rows, n]; [n], or NULL */
  const float *scales;         /* [rows] */
  int64_t rows, n;
  float offset;
} RmsBack;

static void rms_back_chunks(void *context, int64_t first, int64_t last) {
  const RmsBack *b = context;
  for (int64_t chunk = first; chunk < last; chunk++) {
    float *dweight = b->sums != NULL ? b->sums + chunk * b->n : NULL;
    int64_t end = (chunk + 1) * CHUNK_ROWS < b->rows ? (chunk + 1) * CHUNK_ROWS : b->rows;
    if (dweight != NULL) memset(dweight, 0, (size_t)b->n * sizeof *dweight);
    for (int64_t i = chunk * CHUNK_ROWS; i < end; i++)
      gpt_kernels()->rms_norm_backward(b->dx + i * b->n, dweight, b->dy + i * b->n, b->x + i * b->n, b->weight,
                                       b->offset, b->scales[i], b->n);
  }
}

static bool rms_back(GptEnv *env, GptNode *node, const GptTensor *dy, GptTensor *dx) {
  GptTensor *x = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1);
  int64_t n = x->shape[x->ndim - 1], rows = gpt_tensor_numel(x) / n, chunks = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS;
  bool sums = weight != NULL && gpt_node_wants(node, 1);
  RmsBack b = {gpt_floats(dx), NULL, gpt_floats(dy), gpt_floats(x), weight != NULL ? gpt_floats(weight) : NULL,
               gpt_floats(gpt_node_saved(node, 2)), rows, n, (float)node->numbers[0]};
  if (sums && (b.sums = gpt_alloc_array(env, chunks * n, sizeof *b.sums)) == NULL) return false;
  gpt_parallel_for(chunks, gpt_grain(2 * n * CHUNK_ROWS), rms_back_chunks, &b);
  bool done = !sums || gpt_give_column_sums(env, node, 1, (GptMatrix){b.sums, chunks, n, n, 1});
  gpt_free(env, b.sums);
  return done;
}

/* inputs: x, weight; saves: x, weight (contiguous), scales; numbers: offset */
static bool rms_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  GptTensor *dx = gpt_tensor_like(env, gpt_node_saved(node, 0));
  bool done = dy != NULL && dx != NULL && rms_back(env, node, dy, dx);
  gpt_tensor_release(dy);
  if (done && gpt_node_wants(node, 0)) return gpt_node_give(env, node, 0, dx);
  gpt_tensor_release(dx);
  return done;
}

static const GptOp rms_norm_op = {"rms_norm", rms_norm_backward};

static bool check_rms_shapes(GptEnv *env, const GptTensor *x, const GptTensor *weight) {
  char text[GPT_SHAPE_TEXT];
  if (x->ndim < 1 || x->shape[x->ndim - 1] < 1)
    return gpt_fail(env, "rms_norm: an input of shape [..., n] with n of at least 1 expected, got %s",
                    gpt_tensor_shape_text(x, text));
  if (weight == NULL || (weight->ndim == 1 && weight->shape[0] == x->shape[x->ndim - 1])) return true;
  return gpt_fail(env, "rms_norm: a weight of shape [%lld] expected, got %s", (long long)x->shape[x->ndim - 1],
                  gpt_tensor_shape_text(weight, text));
}

/* y for contiguous inputs, and the rows' scales where a backward will want them. */
static GptTensor *compute_rms(GptEnv *env, GptTensor *x, GptTensor *weight, double eps, double offset,
                              GptTensor *scales) {
  GptTensor *y = gpt_tensor_like(env, x);
  int64_t n = x->shape[x->ndim - 1];
  if (y == NULL) return NULL;
  RmsRows rows = {gpt_floats(y),
                  gpt_floats(x),
                  weight != NULL ? gpt_floats(weight) : NULL,
                  scales != NULL ? gpt_floats(scales) : NULL,
                  n,
                  (float)eps,
                  (float)offset};
  gpt_parallel_for(gpt_tensor_numel(x) / n, gpt_grain(2 * n), rms_rows, &rows);
  return y;
}

GptTensor *gpt_rms_norm(GptEnv *env, GptTensor *x, GptTensor *weight, double eps, double offset) {
  if (!check_rms_shapes(env, x, weight)) return NULL;
  GptTensor *const inputs[] = {x, weight};
  bool recorded = gpt_graph_wanted(env, 2, inputs);
  GptTensor *px = gpt_tensor_contiguous_floats(env, "rms_norm", x), *y = NULL;
  GptTensor *pw = gpt_tensor_contiguous_floats(env, "rms_norm: weight", weight);
  int64_t rows = gpt_tensor_numel(x) / x->shape[x->ndim - 1];
  GptTensor *scales = recorded ? gpt_tensor_new(env, GPT_F32, 1, &rows) : NULL;
  if (px != NULL && (pw != NULL || weight == NULL) && (scales != NULL || !recorded))
    y = compute_rms(env, px, pw, eps, offset, scales);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &rms_norm_op, GPT_INPUTS(x, weight), GPT_SAVES(px, pw, scales),
                                        .numbers = {offset}});
  gpt_tensor_release(px);
  gpt_tensor_release(pw);
  gpt_tensor_release(scales);
  return y;
}
