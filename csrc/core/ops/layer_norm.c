#include "core/ops/layer_norm.h"

#include "core/kernels/kernels.h"
#include "core/parallel.h"
#include "core/record.h"

#define GRAIN_FLOATS 16384 /* worth a hand-over to another thread */

typedef struct Rows {
  float *y;
  const float *x, *weight, *bias;
  float *stats; /* [rows, 2]: mean and 1/deviation, or NULL */
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

/* One row's dx; adds to dweight and dbias (NULL: unwanted).
   With h = (x - mean) * rstd and g = dy * weight: dx = rstd * (g - mean(g) - h * mean(g * h)). */
static void row_backward(float *dx, float *dweight, float *dbias, const float *dy, const float *x, const float *weight,
                         const float *stats, int64_t n) {
  float mean = stats[0], rstd = stats[1];
  double sum = 0, sum_h = 0;
  for (int64_t j = 0; j < n; j++) {
    float h = (x[j] - mean) * rstd, g = dy[j] * weight[j];
    sum += g;
    sum_h += g * h;
    dx[j] = g;
    if (dweight != NULL) dweight[j] += dy[j] * h;
    if (dbias != NULL) dbias[j] += dy[j];
  }
  float mean_g = (float)(sum / (double)n), mean_gh = (float)(sum_h / (double)n);
  for (int64_t j = 0; j < n; j++) dx[j] = rstd * (dx[j] - mean_g - (x[j] - mean) * rstd * mean_gh);
}

typedef struct Gradients {
  GptTensor *dx, *dweight, *dbias; /* dweight and dbias may be NULL */
} Gradients;

static bool new_gradients(GptEnv *env, GptNode *node, Gradients *g) {
  GptTensor *x = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1);
  g->dx = gpt_tensor_like(env, x);
  g->dweight = gpt_node_wants(node, 1) ? gpt_tensor_zeros(env, GPT_F32, 1, weight->shape) : NULL;
  g->dbias = gpt_node_wants(node, 2) ? gpt_tensor_zeros(env, GPT_F32, 1, weight->shape) : NULL;
  return g->dx != NULL && (g->dweight != NULL || !gpt_node_wants(node, 1)) &&
         (g->dbias != NULL || !gpt_node_wants(node, 2));
}

/* Gives a gradient where one is wanted; takes it over in any case. */
static bool give_wanted(GptEnv *env, GptNode *node, int i, GptTensor *grad, bool so_far) {
  if (so_far && gpt_node_wants(node, i)) return gpt_node_give(env, node, i, grad);
  gpt_tensor_release(grad);
  return so_far;
}

/* inputs: x, weight, bias; saves: x, weight (packed), stats */
static bool layer_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *x = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1), *stats = gpt_node_saved(node, 2);
  GptTensor *dy = gpt_tensor_packed(env, grad);
  Gradients g = {NULL, NULL, NULL};
  bool done = dy != NULL && new_gradients(env, node, &g);
  int64_t n = weight->shape[0], rows = done ? gpt_tensor_numel(x) / n : 0;
  for (int64_t i = 0; i < rows; i++)
    row_backward(gpt_floats(g.dx) + i * n, g.dweight ? gpt_floats(g.dweight) : NULL,
                 g.dbias ? gpt_floats(g.dbias) : NULL, gpt_floats(dy) + i * n, gpt_floats(x) + i * n,
                 gpt_floats(weight), gpt_floats(stats) + 2 * i, n);
  done = give_wanted(env, node, 0, g.dx, done);
  done = give_wanted(env, node, 1, g.dweight, done);
  done = give_wanted(env, node, 2, g.dbias, done);
  gpt_tensor_release(dy);
  return done;
}

static const GptOp layer_norm_op = {"layer_norm", layer_norm_backward};

static bool check_shapes(GptEnv *env, const GptTensor *x, const GptTensor *weight, const GptTensor *bias) {
  char xs[GPT_SHAPE_TEXT];
  long long n = (long long)weight->shape[0];
  if (weight->ndim != 1 || n < 1 || (bias != NULL && !gpt_same_shape(weight, bias)))
    return gpt_fail(env, "layer_norm: weight and bias of one shape [n] expected, got %s",
                    gpt_tensor_shape_text(weight, xs));
  if (x->ndim < 1 || x->shape[x->ndim - 1] != n)
    return gpt_fail(env, "layer_norm: an input of shape [..., %lld] expected, got %s", n, gpt_tensor_shape_text(x, xs));
  return true;
}

/* y, and the rows' means and deviations where a backward will want them, for packed inputs. */
static GptTensor *compute(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, double eps, GptTensor *stats) {
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
  gpt_parallel_for(gpt_tensor_numel(x) / n, 1 + GRAIN_FLOATS / n, normalise, &rows);
  return y;
}

GptTensor *gpt_layer_norm(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, double eps) {
  if (!check_shapes(env, x, weight, bias)) return NULL;
  GptTensor *const inputs[] = {x, weight, bias};
  bool recorded = gpt_records(env, 3, inputs);
  GptTensor *px = gpt_tensor_packed_floats(env, x), *pw = gpt_tensor_packed(env, weight), *y = NULL;
  GptTensor *pb = bias != NULL ? gpt_tensor_packed(env, bias) : NULL;
  int64_t rows = gpt_tensor_numel(x) / weight->shape[0];
  GptTensor *stats = recorded ? gpt_tensor_new(env, GPT_F32, 2, (int64_t[]){rows, 2}) : NULL;
  if (px != NULL && pw != NULL && (pb != NULL || bias == NULL) && (stats != NULL || !recorded))
    y = compute(env, px, pw, pb, eps, stats);
  y = gpt_record(env, y, (GptRecord){.op = &layer_norm_op, GPT_INPUTS(x, weight, bias), GPT_SAVES(px, pw, stats)});
  gpt_tensor_release(px);
  gpt_tensor_release(pw);
  gpt_tensor_release(pb);
  gpt_tensor_release(stats);
  return y;
}
