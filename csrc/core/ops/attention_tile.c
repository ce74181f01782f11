#include "core/ops/attention_tile.h"

#include <math.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"
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

int64_t gpt_attention_backward_scratch(int64_t keys, int64_t head_dim) {
  return tile_scratch_floats(2 * GPT_QUERY_TILE * keys, keys, head_dim);
}

static GptMatrix head_matrix(GptHeadRows rows, int64_t count, int64_t head_dim) {
  return (GptMatrix){rows.data, count, head_dim, rows.stride, 1};
}

static GptMatrix scores_matrix(float *scores, int64_t queries, int64_t keys) {
  return (GptMatrix){scores, queries, keys, keys, 1};
}

static int64_t keys_of(const GptAttentionTile *t) { return t->past + t->queries; }

static GptCausal causal(const GptAttentionTile *t, GptCausalKeys keys) { return (GptCausal){keys, t->past}; }

static float scale_of(const GptAttentionTile *t) { return 1 / sqrtf((float)t->head_dim); }

/* scores[i, j] = q_i . k_j, unscaled */
static void score(const GptAttentionTile *t, float *scores, float *scratch) {
  int64_t keys = keys_of(t), n = t->queries, d = t->head_dim;
  GptMatrix k = head_matrix(t->k, keys, d);
  if (n <= GPT_SKINNY_ROWS)
    gpt_kernels()->skinny_rows(scores, keys, t->q.data, t->q.stride, t->k.data, t->k.stride, NULL, n, d, 0, keys);
  else
    gpt_matrix_multiply_serial(scores_matrix(scores, n, keys), head_matrix(t->q, n, d), gpt_matrix_transposed(k), false,
                               causal(t, GPT_KEYS_ARE_COLUMNS), scratch);
}

/* out = weights v */
static void mix_values(const GptAttentionTile *t, float *weights, float *scratch) {
  int64_t keys = keys_of(t), n = t->queries, d = t->head_dim;
  if (n <= GPT_SKINNY_ROWS)
    gpt_kernels()->skinny_columns(t->out.data, t->out.stride, weights, keys, t->v.data, t->v.stride, NULL, n, keys, 0,
                                  d);
  else
    gpt_matrix_multiply_serial(head_matrix(t->out, n, d), scores_matrix(weights, n, keys), head_matrix(t->v, keys, d),
                               false, causal(t, GPT_KEYS_ARE_DEPTH), scratch);
}

/* to[j] = from[j] * mask(i, j) / (1 - rate) for the keys that query i sees; to may be from. */
static void drop_row(const GptAttentionTile *t, int64_t i, float *to, const float *from) {
  uint64_t first = (t->mask_row + (uint64_t)i) * (uint64_t)t->mask_columns;
  gpt_kernels()->drop(to, from, t->seed, first, gpt_dropout_threshold(t->drop_rate), (float)(1 / (1 - t->drop_rate)),
                      t->past + i + 1);
}

/* Keys after query i are not seen. */
static void clear_unseen(const GptAttentionTile *t, int64_t i, float *row) {
  int64_t seen = t->past + i + 1;
  memset(row + seen, 0, (size_t)(keys_of(t) - seen) * sizeof *row);
}

void gpt_attention_tile(const GptAttentionTile *t, float *scratch) {
  float *scores = scratch, *rest = scratch + t->queries * keys_of(t);
  score(t, scores, rest);
  for (int64_t i = 0; i < t->queries; i++) {
    float *row = scores + i * keys_of(t);
    float lse = gpt_kernels()->softmax(row, row, scale_of(t), t->past + i + 1);
    if (t->lse != NULL) t->lse[i] = lse;
    if (t->drop_rate > 0) drop_row(t, i, row, row);
    clear_unseen(t, i, row);
  }
  mix_values(t, scores, rest);
}

/* The attention weights again, from the scores and their log-sum-exp. */
static void weights_again(const GptAttentionTile *t, float *scores, float *scratch) {
  score(t, scores, scratch);
  for (int64_t i = 0; i < t->queries; i++) {
    float *row = scores + i * keys_of(t);
    gpt_kernels()->softmax_again(row, row, scale_of(t), t->lse[i], t->past + i + 1);
    clear_unseen(t, i, row);
  }
}

/* One row of the gradient of the scores, in place of dweights: w (dw - out . dout) / sqrt(head_dim). */
static void score_gradient(const GptAttentionTile *t, int64_t i, GptHeadRows dout, const float *weights,
                           float *dweights) {
  float delta = gpt_kernels()->dot(t->out.data + i * t->out.stride, dout.data + i * dout.stride, t->head_dim);
  gpt_kernels()->softmax_backward(dweights, weights, dweights, delta, scale_of(t), t->past + i + 1);
  clear_unseen(t, i, dweights);
}

/* The weights as they met the values: a copy, where there is dropout. */
static float *dropped(const GptAttentionTile *t, float *weights, float *copy) {
  int64_t keys = keys_of(t);
  if (t->drop_rate == 0) return weights;
  for (int64_t i = 0; i < t->queries; i++) {
    drop_row(t, i, copy + i * keys, weights + i * keys);
    clear_unseen(t, i, copy + i * keys);
  }
  return copy;
}

void gpt_attention_tile_backward(const GptAttentionTile *t, GptHeadRows dout_rows, GptHeadRows dq, GptHeadRows dk,
                                 GptHeadRows dv, int first, float *scratch) {
  int64_t keys = keys_of(t), n = t->queries, d = t->head_dim;
  float *weights = scratch, *other = weights + n * keys, *rest = other + n * keys;
  GptMatrix q = head_matrix(t->q, n, d), k = head_matrix(t->k, keys, d), v = head_matrix(t->v, keys, d);
  GptMatrix dout = head_matrix(dout_rows, n, d);
  GptCausal columns = causal(t, GPT_KEYS_ARE_COLUMNS), depth = causal(t, GPT_KEYS_ARE_DEPTH),
            rows = causal(t, GPT_KEYS_ARE_ROWS);
  weights_again(t, weights, rest);
  GptMatrix met = scores_matrix(dropped(t, weights, other), n, keys), dscores = scores_matrix(other, n, keys);
  gpt_matrix_multiply_serial(head_matrix(dv, keys, d), gpt_matrix_transposed(met), dout, !first, rows, rest);
  gpt_matrix_multiply_serial(dscores, dout, gpt_matrix_transposed(v), false, columns, rest);
  for (int64_t i = 0; i < n; i++) {
    float *dweights = other + i * keys;
    if (t->drop_rate > 0) drop_row(t, i, dweights, dweights);
    score_gradient(t, i, dout_rows, weights + i * keys, dweights);
  }
  gpt_matrix_multiply_serial(head_matrix(dq, n, d), dscores, k, false, depth, rest);
  gpt_matrix_multiply_serial(head_matrix(dk, keys, d), gpt_matrix_transposed(dscores), q, !first, rows, rest);
}
