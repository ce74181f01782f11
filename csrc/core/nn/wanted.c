#include "core/nn/wanted.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/cross_entropy.h"

bool gpt_wanted_last(GptEnv *env, GptWanted *wanted, int64_t n) {
  wanted->rows = gpt_alloc_array(env, n, sizeof *wanted->rows);
  for (int64_t i = 0; i < n && wanted->rows != NULL; i++) wanted->rows[i] = 1;
  wanted->total = n;
  return wanted->rows != NULL;
}

static int64_t rows_from_first(const int64_t *targets, int64_t count) {
  int64_t first = 0;
  while (first < count && gpt_is_masked(targets[first])) first++;
  return count - first;
}

/* The targets of all rows that are wanted, after each other. */
static GptTensor *join_targets(GptEnv *env, const GptWanted *wanted, int64_t n, const int64_t *const *targets,
                               const int64_t *counts) {
  GptTensor *all = gpt_tensor_new(env, GPT_I64, 2, (int64_t[]){1, wanted->total});
  int64_t *to = all != NULL ? gpt_integers(all) : NULL;
  for (int64_t i = 0; i < n && to != NULL; to += wanted->rows[i++]) {
    size_t bytes = (size_t)wanted->rows[i] * sizeof *to;
    if (bytes > 0) memcpy(to, targets[i] + counts[i] - wanted->rows[i], bytes);
  }
  return all;
}

bool gpt_wanted_targets(GptEnv *env, GptWanted *wanted, int64_t n, const int64_t *const *targets,
                        const int64_t *counts) {
  if (!gpt_wanted_last(env, wanted, n)) return false;
  int64_t total = 0;
  for (int64_t i = 0; i < n; i++) total += rows_from_first(targets[i], counts[i]);
  if (total == 0) return true; /* they are fed for their caches alone */
  for (int64_t i = 0; i < n; i++) wanted->rows[i] = rows_from_first(targets[i], counts[i]);
  wanted->total = total;
  wanted->targets = join_targets(env, wanted, n, targets, counts);
  return wanted->targets != NULL;
}

GptTensor *gpt_wanted_spread(GptEnv *env, const GptWanted *wanted, int64_t n, const int64_t *counts,
                             const GptTensor *scores) {
  int64_t rows = 0, at = 0;
  for (int64_t i = 0; i < n; i++) rows += counts[i];
  GptTensor *all = gpt_tensor_zeros(env, GPT_F32, 2, (int64_t[]){rows, 2});
  if (all == NULL || wanted->targets == NULL) return all;
  const float *from = gpt_floats(scores);
  for (int64_t i = 0; i < n; from += 2 * wanted->rows[i++]) {
    at += counts[i];
    size_t bytes = 2 * (size_t)wanted->rows[i] * sizeof *from;
    if (bytes > 0) memcpy(gpt_floats(all) + 2 * (at - wanted->rows[i]), from, bytes);
  }
  return all;
}

void gpt_wanted_free(GptEnv *env, GptWanted *wanted) {
  gpt_tensor_release(wanted->targets);
  gpt_free(env, wanted->rows);
}
