#include "core/ops/cross_entropy.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/ops/iterate.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"

/* Rows of logits with one target each. */
typedef struct Loss {
  const float *logits; /* [rows, vocabulary] */
  const int64_t *targets; /* [rows] */
  float *totals;          /* [rows]: log-sum-exps */
  float *grad;   /* backward: [rows, vocabulary] */
  float scale;   /* backward: the loss's gradient / counted rows */
  int64_t vocabulary;
} Loss;

static void sum_rows(void *context, int64_t first, int64_t last) {
  const Loss *loss = context;
  for (int64_t row = first; row < last; row++)
    loss->totals[row] = gpt_is_masked(loss->targets[row])
                            ? 0
                            : gpt_kernels()->log_sum_exp(loss->logits + row * loss->vocabulary, loss->vocabulary);
}

/* grad = (softmax - one at the target) * scale, 0 for a row left out */
static void grad_rows(void *context, int64_t first, int64_t last) {
  const Loss *loss = context;
  int64_t n = loss->vocabulary;
  for (int64_t row = first; row < last; row++) {
    const float *x = loss->logits + row * n;
    float *dx = loss->grad + row * n, total = loss->totals[row], scale = loss->scale;
    if (gpt_is_masked(loss->targets[row])) {
      memset(dx, 0, (size_t)n * sizeof *dx);
      continue;
    }
    for (int64_t i = 0; i < n; i++) dx[i] = x[i] - total;
    gpt_kernels()->exp(dx, dx, n);
    for (int64_t i = 0; i < n; i++) dx[i] *= scale;
    dx[loss->targets[row]] -= scale;
  }
}

/* The place of element i, counted from 1, as users write it: "[2, 3]". */
static const char *target_place_text(const GptTensor *t, int64_t i, char *text) {
  int64_t place[GPT_MAX_DIMS];
  for (int d = t->ndim - 1; d >= 0; d--) {
    place[d] = i % t->shape[d] + 1;
    i /= t->shape[d];
  }
  return gpt_shape_text(t->ndim, place, text);
}

static bool check_loss_shapes(GptEnv *env, const GptTensor *logits, const GptTensor *targets) {
  char a[GPT_SHAPE_TEXT], b[GPT_SHAPE_TEXT];
  if (targets->storage->dtype != GPT_I64)
    return gpt_fail(env, "cross_entropy: targets are token ids, an i64 tensor; got %s of shape %s",
                    gpt_dtype_name(targets->storage->dtype), gpt_tensor_shape_text(targets, b));
  if (logits->ndim == targets->ndim + 1 &&
      memcmp(logits->shape, targets->shape, (size_t)targets->ndim * sizeof targets->shape[0]) == 0)
    return true;
  return gpt_fail(env,
                  "cross_entropy: logits %s and targets %s do not fit; logits of shape [..., vocabulary] need targets "
                  "of shape [...]",
                  gpt_tensor_shape_text(logits, a), gpt_tensor_shape_text(targets, b));
}

int64_t gpt_count_targets(GptEnv *env, const char *what, const GptTensor *targets, int64_t vocabulary) {
  char text[GPT_SHAPE_TEXT];
  int64_t n = gpt_tensor_numel(targets), counted = 0;
  for (int64_t i = 0; i < n; i++) {
    int64_t target = gpt_integers(targets)[i];
    if (gpt_is_masked(target)) continue;
    if (target < 0 || target >= vocabulary) {
      gpt_fail(env,
               "%s: target %lld at %s is no token id of a vocabulary of %lld (0 to %lld; -1 leaves a "
               "position out)",
               what, (long long)target, target_place_text(targets, i, text), (long long)vocabulary,
               (long long)vocabulary - 1);
      return 0;
    }
    counted++;
  }
  if (counted == 0)
    gpt_fail(env, "%s: no target left to average over: targets of shape %s %s", what,
             gpt_tensor_shape_text(targets, text), n == 0 ? "hold nothing" : "are all masked (-1 or -100)");
  return counted;
}

static bool loss_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *logits = gpt_node_saved(node, 0), *targets = gpt_node_saved(node, 1), *dx = gpt_tensor_like(env, logits);
  if (dx == NULL) return false;
  Loss loss = {.logits = gpt_floats(logits),
               .targets = gpt_integers(targets),
               .totals = gpt_floats(gpt_node_saved(node, 2)),
               .grad = gpt_floats(dx),
               .scale = (float)(*gpt_floats(grad) / node->numbers[0]),
               .vocabulary = logits->shape[logits->ndim - 1]};
  gpt_parallel_for(gpt_tensor_numel(targets), gpt_grain(4 * loss.vocabulary), grad_rows, &loss);
  return gpt_node_give(env, node, 0, dx);
}

static const GptOp loss_op = {"cross_entropy", loss_backward};

/* The mean over the rows that count. */
static double mean_loss(const Loss *loss, int64_t rows, int64_t counted) {
  double sum = 0;
  for (int64_t row = 0; row < rows; row++) {
    int64_t target = loss->targets[row];
    if (gpt_is_masked(target)) continue;
    sum += (double)loss->totals[row] - (double)loss->logits[row * loss->vocabulary + target];
  }
  return sum / (double)counted;
}

/* All contiguous; origin is what logits was before. */
static GptTensor *compute_loss(GptEnv *env, GptTensor *origin, GptTensor *logits, GptTensor *targets) {
  int64_t vocabulary = logits->shape[logits->ndim - 1], rows = gpt_tensor_numel(targets);
  int64_t counted = gpt_count_targets(env, "cross_entropy", targets, vocabulary);
  GptTensor *totals = counted > 0 ? gpt_tensor_new(env, GPT_F32, targets->ndim, targets->shape) : NULL;
  if (totals == NULL) return NULL;
  Loss loss = {.logits = gpt_floats(logits),
               .targets = gpt_integers(targets),
               .totals = gpt_floats(totals),
               .vocabulary = vocabulary};
  gpt_parallel_for(rows, gpt_grain(4 * vocabulary), sum_rows, &loss);
  GptTensor *y = gpt_tensor_number(env, mean_loss(&loss, rows, counted));
  y = gpt_graph_add(env, y,
                 (GptOpCall){.op = &loss_op,
                             GPT_INPUTS(origin),
                             GPT_SAVES(logits, targets, totals),
                             .numbers = {(double)counted}});
  gpt_tensor_release(totals);
  return y;
}

GptTensor *gpt_cross_entropy(GptEnv *env, GptTensor *logits, GptTensor *targets) {
  if (logits == NULL || !check_loss_shapes(env, logits, targets)) return NULL;
  GptTensor *x = gpt_tensor_as_floats(env, "cross_entropy", logits), *rows = gpt_tensor_as_contiguous(env, x);
  GptTensor *ids = gpt_tensor_as_contiguous(env, targets);
  GptTensor *y = rows != NULL && ids != NULL ? compute_loss(env, x, rows, ids) : NULL;
  gpt_tensor_release(x);
  gpt_tensor_release(rows);
  gpt_tensor_release(ids);
  return y;
}
