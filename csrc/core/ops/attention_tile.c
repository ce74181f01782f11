#include "core/ops/attention_tile.h"

#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"
#include "core/ops/attention_pages.h"
#include "core/ops/dropout.h"

/* Scores, and what a tile's products need: they are as wide as the keys and as deep as a head, or the other way
   round, or as deep as the queries. */
static int64_t tile_scratch_floats(int64_t scores, int64_t keys, int64_t head_dim) {
  int64_t most = keys > GPT_QUERY_TILE ? keys : GPT_QUERY_TILE;
  int64_t wide = gpt_matrix_scratch(GPT_QUERY_TILE, keys, head_dim);
  int64_t deep = gpt_matrix_scratch(keys, head_dim, most);
  return scores + (wide > deep ? wide : deep);
}

/* Products with few queries read what they multiply where it lies. */
int64_t gpt_attention_scratch(int64_t queries, int64_t keys, int64_t head_dim) {
  if (queries <= GPT_SKINNY_ROWS) return queries * keys;
  return tile_scratch_floats(queries * keys, keys, head_dim);
}

int64_t gpt_attention_backward_scratch(int64_t keys, int64_t head_dim, bool capped) {
  return tile_scratch_floats((capped ? 3 : 2) * GPT_QUERY_TILE * keys, keys, head_dim);
}

static GptMatrix head_matrix(GptHeadRows rows, int64_t count, int64_t head_dim) {
  return (GptMatrix){rows.data, count, head_dim, rows.stride, 1};
}

static GptMatrix scores_matrix(float *scores, int64_t queries, int64_t keys) {
  return (GptMatrix){scores, queries, keys, keys, 1};
}

static GptCausal causal(const GptAttentionTile *t, GptCausalKeys keys) {
  return (GptCausal){t->causal && t->step == 1 ? keys : GPT_NOT_CAUSAL, t->past};
}

/* The keys that query i sees: count of them, from first on. */
typedef struct Seen {
  int64_t first, count;
} Seen;

static Seen seen_by(const GptAttentionTile *t, int64_t i) {
  int64_t end = t->causal ? t->past + i * t->step + 1 : t->keys;
  int64_t first = t->window > 0 && end > t->window ? end - t->window : 0;
  return (Seen){first, end - first};
}

/* scores[i, j] = q_i . k_j, unscaled */
static void score(const GptAttentionTile *t, float *scores, float *scratch) {
  int64_t keys = t->keys, n = t->queries, d = t->head_dim;
  GptMatrix k = head_matrix(t->k, keys, d);
  if (t->paged != NULL)
    gpt_paged_scores(t, scores, scratch);
  else if (n <= GPT_SKINNY_ROWS)
    gpt_kernels()->skinny_rows(scores, keys, t->q.data, t->q.stride, t->k.data, t->k.stride, NULL, n, d, 0, keys);
  else
    gpt_matrix_multiply_serial(scores_matrix(scores, n, keys), head_matrix(t->q, n, d), gpt_matrix_transposed(k), false,
                               causal(t, GPT_KEYS_ARE_COLUMNS), scratch);
}

/* out = weights v */
static void mix_values(const GptAttentionTile *t, float *weights, float *scratch) {
  int64_t keys = t->keys, n = t->queries, d = t->head_dim;
  if (t->paged != NULL)
    gpt_paged_values(t, weights, scratch);
  else if (n <= GPT_SKINNY_ROWS)
    gpt_kernels()->skinny_columns(t->out.data, t->out.stride, weights, keys, t->v.data, t->v.stride, NULL, n, keys, 0,
                                  d);
  else
    gpt_matrix_multiply_serial(head_matrix(t->out, n, d), scores_matrix(weights, n, keys), head_matrix(t->v, keys, d),
                               false, causal(t, GPT_KEYS_ARE_DEPTH), scratch);
}

/* to[j] = from[j] * mask(i, j) / (1 - rate) for the keys that query i sees; to may be from. */
static void drop_row(const GptAttentionTile *t, int64_t i, float *to, const float *from) {
  Seen seen = seen_by(t, i);
  uint64_t row = (t->mask_row + (uint64_t)i) * (uint64_t)t->mask_columns + (uint64_t)(t->mask_first + seen.first);
  gpt_kernels()->drop(to + seen.first, from + seen.first, t->seed, row, gpt_dropout_threshold(t->drop_rate),
                      (float)(1 / (1 - t->drop_rate)), seen.count);
}

/* Keys before and behind those that query i sees are nothing to it. */
static void clear_unseen(const GptAttentionTile *t, int64_t i, float *row) {
  Seen seen = seen_by(t, i);
  int64_t end = seen.first + seen.count;
  memset(row, 0, (size_t)seen.first * sizeof *row);
  memset(row + end, 0, (size_t)(t->keys - end) * sizeof *row);
}

/* tanh(scale * score / softcap), in place */
static void cap_row(const GptAttentionTile *t, float *row, int64_t n) {
  float factor = t->scale / t->softcap;
  for (int64_t j = 0; j < n; j++) row[j] *= factor;
  gpt_kernels()->tanh(row, row, n);
}

/* Weights from scores, in place; returns the log-sum-exp. */
static float weigh_row(const GptAttentionTile *t, float *row, int64_t n) {
  if (t->softcap == 0) return gpt_kernels()->softmax(row, row, t->scale, n);
  cap_row(t, row, n);
  return gpt_kernels()->softmax(row, row, t->softcap, n);
}

void gpt_attention_tile_weights(const GptAttentionTile *t, float *scratch) {
  score(t, scratch, scratch + t->queries * t->keys);
  for (int64_t i = 0; i < t->queries; i++) {
    Seen seen = seen_by(t, i);
    float *row = scratch + i * t->keys, lse = weigh_row(t, row + seen.first, seen.count);
    if (t->lse != NULL) t->lse[i] = lse;
    if (t->drop_rate > 0) drop_row(t, i, row, row);
    clear_unseen(t, i, row);
  }
}

void gpt_attention_tile(const GptAttentionTile *t, float *scratch) {
  gpt_attention_tile_weights(t, scratch);
  mix_values(t, scratch, scratch + t->queries * t->keys);
}

/* The attention weights again, from the scores and their log-sum-exp. capped: also what softcap's tanh made of the
 * scores; or NULL. */
static void weights_again(const GptAttentionTile *t, float *scores, float *capped, float *scratch) {
  score(t, scores, scratch);
  for (int64_t i = 0; i < t->queries; i++) {
    Seen seen = seen_by(t, i);
    float *row = scores + i * t->keys, *at = row + seen.first;
    if (capped != NULL) {
      cap_row(t, at, seen.count);
      memcpy(capped + i * t->keys + seen.first, at, (size_t)seen.count * sizeof *at);
    }
    gpt_kernels()->softmax_again(at, at, capped != NULL ? t->softcap : t->scale, t->lse[i], seen.count);
    clear_unseen(t, i, row);
  }
}

/* One row of the gradient of the scores, in place of dweights: scale w (dw - out . dout), times tanh's slope. */
static void score_gradient(const GptAttentionTile *t, int64_t i, GptHeadRows dout, const float *weights,
                           const float *capped, float *dweights) {
  Seen seen = seen_by(t, i);
  float delta = gpt_kernels()->dot(t->out.data + i * t->out.stride, dout.data + i * dout.stride, t->head_dim);
  float *at = dweights + seen.first;
  gpt_kernels()->softmax_backward(at, weights + seen.first, at, delta, t->scale, seen.count);
  if (capped != NULL)
    for (int64_t j = 0; j < seen.count; j++) at[j] *= 1 - capped[seen.first + j] * capped[seen.first + j];
  clear_unseen(t, i, dweights);
}

/* The weights as they met the values: a copy, where there is dropout. */
static float *dropped(const GptAttentionTile *t, float *weights, float *copy) {
  if (t->drop_rate == 0) return weights;
  for (int64_t i = 0; i < t->queries; i++) {
    drop_row(t, i, copy + i * t->keys, weights + i * t->keys);
    clear_unseen(t, i, copy + i * t->keys);
  }
  return copy;
}

void gpt_attention_tile_backward(const GptAttentionTile *t, GptHeadRows dout_rows, GptHeadRows dq, GptHeadRows dk,
                                 GptHeadRows dv, bool add, float *scratch) {
  int64_t keys = t->keys, n = t->queries, d = t->head_dim;
  float *weights = scratch, *other = weights + n * keys, *rest = other + n * keys;
  float *capped = t->softcap != 0 ? rest : NULL;
  if (capped != NULL) rest += n * keys;
  GptMatrix q = head_matrix(t->q, n, d), k = head_matrix(t->k, keys, d), v = head_matrix(t->v, keys, d);
  GptMatrix dout = head_matrix(dout_rows, n, d);
  GptCausal columns = causal(t, GPT_KEYS_ARE_COLUMNS), depth = causal(t, GPT_KEYS_ARE_DEPTH),
            rows = causal(t, GPT_KEYS_ARE_ROWS);
  weights_again(t, weights, capped, rest);
  GptMatrix met = scores_matrix(dropped(t, weights, other), n, keys), dscores = scores_matrix(other, n, keys);
  gpt_matrix_multiply_serial(head_matrix(dv, keys, d), gpt_matrix_transposed(met), dout, add, rows, rest);
  gpt_matrix_multiply_serial(dscores, dout, gpt_matrix_transposed(v), false, columns, rest);
  for (int64_t i = 0; i < n; i++) {
    float *dweights = other + i * keys;
    if (t->drop_rate > 0) drop_row(t, i, dweights, dweights);
    score_gradient(t, i, dout_rows, weights + i * keys, capped != NULL ? capped + i * keys : NULL, dweights);
  }
  gpt_matrix_multiply_serial(head_matrix(dq, n, d), dscores, k, false, depth, rest);
  gpt_matrix_multiply_serial(head_matrix(dk, keys, d), gpt_matrix_transposed(dscores), q, add, rows, rest);
}
