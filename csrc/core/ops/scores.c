#include "core/ops/scores.h"

#include <string.h>

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/ops/cross_entropy.h"

typedef struct Scoring {
  const float *logits;    /* [rows, vocabulary] */
  const int64_t *targets; /* [rows] */
  float *scores;          /* [rows, 2] */
  int64_t vocabulary;
} Scoring;

void gpt_score_row(const float *row, int64_t vocabulary, int64_t target, float out[2]) {
  int64_t above = 0;
  for (int64_t i = 0; i < vocabulary; i++) above += row[i] > row[target];
  out[0] = row[target] - gpt_kernels()->log_sum_exp(row, vocabulary);
  out[1] = above == 0 ? 1 : 0;
}

static void score_rows(void *context, int64_t first, int64_t last) {
  const Scoring *s = context;
  for (int64_t i = first; i < last; i++)
    if (!gpt_is_masked(s->targets[i]))
      gpt_score_row(s->logits + i * s->vocabulary, s->vocabulary, s->targets[i], s->scores + 2 * i);
}

/* Both contiguous. */
static GptTensor *score_contiguous(GptEnv *env, const GptTensor *logits, const GptTensor *targets) {
  int64_t rows = gpt_tensor_numel(targets), vocabulary = logits->shape[logits->ndim - 1];
  if (gpt_count_targets(env, "score", targets, vocabulary) == 0) return NULL;
  GptTensor *scores = gpt_tensor_zeros(env, GPT_F32, 2, (int64_t[]){rows, 2});
  if (scores == NULL) return NULL;
  Scoring scoring = {gpt_floats(logits), gpt_integers(targets), gpt_floats(scores), vocabulary};
  gpt_parallel_for(rows, gpt_grain(4 * vocabulary), score_rows, &scoring);
  return scores;
}

static bool check_score_shapes(GptEnv *env, const GptTensor *logits, const GptTensor *targets) {
  char a[GPT_SHAPE_TEXT], b[GPT_SHAPE_TEXT];
  if (targets->storage->dtype == GPT_I64 && logits->ndim == targets->ndim + 1 &&
      memcmp(logits->shape, targets->shape, (size_t)targets->ndim * sizeof targets->shape[0]) == 0)
    return true;
  return gpt_fail(env, "score: logits [..., vocabulary] for ids of shape %s expected, got shape %s",
                  gpt_tensor_shape_text(targets, b), gpt_tensor_shape_text(logits, a));
}

GptTensor *gpt_logit_scores(GptEnv *env, GptTensor *logits, GptTensor *targets) {
  if (!check_score_shapes(env, logits, targets)) return NULL;
  GptTensor *rows = gpt_tensor_contiguous_floats(env, "score", logits), *ids = gpt_tensor_as_contiguous(env, targets);
  GptTensor *scores = rows != NULL && ids != NULL ? score_contiguous(env, rows, ids) : NULL;
  gpt_tensor_release(rows);
  gpt_tensor_release(ids);
  return scores;
}
