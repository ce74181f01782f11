#include "core/ops/layer_norm.h"

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/ops/norm_backward.h"

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

/* sums: of dweight, dbias */
static void layer_norm_row_back(const GptNormBack *b, int64_t row, float *sums) {
  int64_t at = row * b->n;
  gpt_kernels()->layer_norm_backward(b->dx + at, sums, sums + b->n, b->dy + at, b->x + at, b->weight, b->stats[2 * row],
                                     b->stats[2 * row + 1], b->n);
}

/* inputs: x, weight, bias; saves: x, weight (contiguous), stats */
static bool layer_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_norm_backward(env, node, grad, 2, layer_norm_row_back);
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
