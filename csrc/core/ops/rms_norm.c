#include "core/ops/rms_norm.h"

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/ops/norm_backward.h"

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

/* sums: of dweight */
static void rms_norm_row_back(const GptNormBack *b, int64_t row, float *sums) {
  int64_t at = row * b->n;
  gpt_kernels()->rms_norm_backward(b->dx + at, sums, b->dy + at, b->x + at, b->weight, (float)b->number, b->stats[row],
                                   b->n);
}

/* inputs: x, weight; saves: x, weight (contiguous, or NULL), scales; numbers: offset */
static bool rms_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  bool weighed = gpt_node_saved(node, 1) != NULL && gpt_node_wants(node, 1);
  return gpt_norm_backward(env, node, grad, weighed ? 1 : 0, rms_norm_row_back);
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
