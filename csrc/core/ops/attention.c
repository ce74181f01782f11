#include "core/ops/attention.h"

#include <string.h>

#include "core/ops/attention_tile.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"
#include "core/base/scratch.h"

/* A whole call: qkv [batch, tokens, 3 * dim], out [batch, tokens, dim]. */
typedef struct Job {
  GptTensor *qkv, *out, *lse; /* lse [batch, n_heads, tokens] or NULL */
  int64_t batch, tokens, dim, n_heads, head_dim, tiles;
  double drop_rate;
  uint64_t seed;
  GptTensor *dout, *dqkv; /* in a backward */
  GptScratch scratch;
} Job;

static Job new_job(GptTensor *qkv, int64_t n_heads) {
  int64_t dim = qkv->shape[2] / 3, tokens = qkv->shape[1];
  return (Job){.qkv = qkv,
               .batch = qkv->shape[0],
               .tokens = tokens,
               .dim = dim,
               .n_heads = n_heads,
               .head_dim = dim / n_heads,
               .tiles = (tokens + GPT_QUERY_TILE - 1) / GPT_QUERY_TILE};
}

/* Part 0, 1, 2 (query, key, value) of head h in row b of a tensor like qkv. */
static GptHeadRows part(const Job *job, const GptTensor *qkv, int64_t b, int64_t h, int64_t which) {
  float *row = gpt_floats(qkv) + b * job->tokens * 3 * job->dim;
  return (GptHeadRows){row + which * job->dim + h * job->head_dim, 3 * job->dim};
}

static GptHeadRows head_of(const Job *job, const GptTensor *out, int64_t b, int64_t h) {
  return (GptHeadRows){gpt_floats(out) + b * job->tokens * job->dim + h * job->head_dim, job->dim};
}

static GptHeadRows rows_from(GptHeadRows rows, int64_t first) {
  return (GptHeadRows){rows.data + first * rows.stride, rows.stride};
}

static GptAttentionTile tile_of(const Job *job, int64_t b, int64_t h, int64_t tile) {
  int64_t first = tile * GPT_QUERY_TILE, left = job->tokens - first;
  int64_t row = (b * job->n_heads + h) * job->tokens + first;
  return (GptAttentionTile){
      .q = rows_from(part(job, job->qkv, b, h, 0), first),
      .k = part(job, job->qkv, b, h, 1),
      .v = part(job, job->qkv, b, h, 2),
      .out = rows_from(head_of(job, job->out, b, h), first),
      .queries = left < GPT_QUERY_TILE ? left : GPT_QUERY_TILE,
      .past = first,
      .head_dim = job->head_dim,
      .lse = job->lse != NULL ? gpt_floats(job->lse) + row : NULL,
      .drop_rate = job->drop_rate,
      .seed = job->seed,
      .mask_row = (uint64_t)row,
      .mask_columns = job->tokens,
  };
}

/* Items are tiles; late ones, which see the most keys, come first. */
static void forward_tiles(void *context, int64_t first, int64_t last) {
  Job *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  for (int64_t item = first; item < last; item++) {
    int64_t tile = job->tiles - 1 - item / (job->batch * job->n_heads), head = item % (job->batch * job->n_heads);
    GptAttentionTile t = tile_of(job, head / job->n_heads, head % job->n_heads, tile);
    gpt_attention_tile(&t, scratch);
  }
  gpt_scratch_put(&job->scratch, scratch);
}

/* Items are heads: all tiles of one add to the same keys, so they follow each other, the widest first. */
static void backward_heads(void *context, int64_t first, int64_t last) {
  Job *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  for (int64_t item = first; item < last; item++) {
    int64_t b = item / job->n_heads, h = item % job->n_heads;
    GptHeadRows dk = part(job, job->dqkv, b, h, 1), dv = part(job, job->dqkv, b, h, 2);
    for (int64_t tile = job->tiles - 1; tile >= 0; tile--) {
      GptAttentionTile t = tile_of(job, b, h, tile);
      GptHeadRows dout = rows_from(head_of(job, job->dout, b, h), t.past),
                  dq = rows_from(part(job, job->dqkv, b, h, 0), t.past);
      gpt_attention_tile_backward(&t, dout, dq, dk, dv, tile == job->tiles - 1, scratch);
    }
  }
  gpt_scratch_put(&job->scratch, scratch);
}

static bool new_backward_scratch(GptEnv *env, Job *job) {
  int64_t floats = gpt_attention_backward_scratch(job->tokens, job->head_dim);
  return gpt_scratch_init(&job->scratch, env, floats, job->batch * job->n_heads);
}

/* inputs: qkv; saves: qkv (contiguous), out, lse */
static bool attention_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dout = gpt_tensor_as_contiguous(env, grad);
  if (dout == NULL) return false;
  Job job = new_job(gpt_node_saved(node, 0), node->integers[0]);
  job.out = gpt_node_saved(node, 1);
  job.lse = gpt_node_saved(node, 2);
  job.drop_rate = node->numbers[0];
  job.seed = (uint64_t)node->integers[1];
  job.dout = dout;
  job.dqkv = gpt_tensor_like(env, job.qkv);
  bool done = job.dqkv != NULL && new_backward_scratch(env, &job);
  if (done) {
    gpt_parallel_for(job.batch * job.n_heads, 1, backward_heads, &job);
    gpt_scratch_free(&job.scratch, env);
    done = gpt_node_give(env, node, 0, job.dqkv);
  } else {
    gpt_tensor_release(job.dqkv);
  }
  gpt_tensor_release(dout);
  return done;
}

static const GptOp attention_op = {"attention", attention_backward};

static bool check_attention_shape(GptEnv *env, const GptTensor *qkv, int64_t n_heads) {
  char text[GPT_SHAPE_TEXT];
  if (qkv->ndim == 3 && qkv->shape[2] % (3 * n_heads) == 0 && qkv->shape[2] > 0) return true;
  return gpt_fail(env,
                  "attention: queries, keys and values of shape [batch, tokens, 3 * dim] with dim divisible by %lld "
                  "heads expected, got %s",
                  (long long)n_heads, gpt_tensor_shape_text(qkv, text));
}

static GptTensor *new_out(GptEnv *env, const GptTensor *qkv) {
  return gpt_tensor_new(env, GPT_F32, 3, (int64_t[]){qkv->shape[0], qkv->shape[1], qkv->shape[2] / 3});
}

static bool run_forward(GptEnv *env, Job *job, bool recorded) {
  job->out = new_out(env, job->qkv);
  if (job->out == NULL) return false;
  if (recorded) job->lse = gpt_tensor_new(env, GPT_F32, 3, (int64_t[]){job->batch, job->n_heads, job->tokens});
  if (recorded && job->lse == NULL) return false;
  int64_t tiles = job->batch * job->n_heads * job->tiles;
  int64_t floats = gpt_attention_scratch(GPT_QUERY_TILE, job->tokens, job->head_dim);
  if (!gpt_scratch_init(&job->scratch, env, floats, tiles)) return false;
  gpt_parallel_for(tiles, 1, forward_tiles, job);
  gpt_scratch_free(&job->scratch, env);
  return true;
}

GptTensor *gpt_attention(GptEnv *env, GptTensor *qkv, int64_t n_heads, double drop_rate, uint64_t seed) {
  if (!check_attention_shape(env, qkv, n_heads)) return NULL;
  GptTensor *contiguous = gpt_tensor_contiguous_floats(env, "attention", qkv), *y = NULL;
  if (contiguous == NULL) return NULL;
  Job job = new_job(contiguous, n_heads);
  job.drop_rate = drop_rate;
  job.seed = seed;
  if (run_forward(env, &job, gpt_graph_wanted(env, 1, &qkv))) y = gpt_tensor_retain(job.out);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &attention_op, GPT_INPUTS(qkv), GPT_SAVES(contiguous, job.out, job.lse),
                                     .integers = {n_heads, (int64_t)seed}, .numbers = {drop_rate}});
  gpt_tensor_release(job.out);
  gpt_tensor_release(job.lse);
  gpt_tensor_release(contiguous);
  return y;
}

/* A pass over cached sequences: its tiles, sequence by sequence. */
typedef struct CachedJob {
  int64_t n;
  const GptCachedRows *sequences; /* [n] */
  const float *qkv;               /* [rows of all sequences, 3 * dim] */
  float *out;                     /* [rows of all sequences, dim] */
  int64_t dim, n_heads, head_dim;
  GptScratch scratch;
} CachedJob;

/* Puts a sequence's new keys and values behind those it has; its rows begin at qkv. */
static void append_rows(const CachedJob *job, const GptCachedRows *rows, const float *qkv) {
  size_t bytes = (size_t)job->head_dim * sizeof(float);
  for (int64_t i = 0; i < rows->count; i++) {
    const float *k = qkv + i * 3 * job->dim + job->dim, *v = k + job->dim;
    for (int64_t h = 0; h < job->n_heads; h++) {
      int64_t at = (h * rows->capacity + rows->length + i) * job->head_dim;
      memcpy(rows->keys + at, k + h * job->head_dim, bytes);
      memcpy(rows->values + at, v + h * job->head_dim, bytes);
    }
  }
}

static void cached_head(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t h, float *scratch) {
  int64_t head = h * rows->capacity * job->head_dim;
  for (int64_t first = 0; first < rows->count; first += GPT_QUERY_TILE) {
    int64_t left = rows->count - first, at = row + first;
    GptAttentionTile t = {
        .q = {(float *)job->qkv + at * 3 * job->dim + h * job->head_dim, 3 * job->dim},
        .k = {rows->keys + head, job->head_dim},
        .v = {rows->values + head, job->head_dim},
        .out = {job->out + at * job->dim + h * job->head_dim, job->dim},
        .queries = left < GPT_QUERY_TILE ? left : GPT_QUERY_TILE,
        .past = rows->length + first,
        .head_dim = job->head_dim,
    };
    gpt_attention_tile(&t, scratch);
  }
}

/* Items are heads of sequences. */
static void cached_heads(void *context, int64_t first, int64_t last) {
  CachedJob *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  int64_t item = 0, row = 0;
  for (int64_t s = 0; s < job->n && item < last; s++) {
    for (int64_t h = 0; h < job->n_heads; h++, item++)
      if (item >= first && item < last) cached_head(job, &job->sequences[s], row, h, scratch);
    row += job->sequences[s].count;
  }
  gpt_scratch_put(&job->scratch, scratch);
}

/* Room for the scores of any sequence's tile. It follows the capacities, so that it stays the same from token to
 * token. */
static int64_t cached_scratch_floats(const CachedJob *job) {
  int64_t most = 0;
  for (int64_t s = 0; s < job->n; s++) {
    int64_t count = job->sequences[s].count, queries = count < GPT_QUERY_TILE ? count : GPT_QUERY_TILE;
    int64_t floats = gpt_attention_scratch(queries, job->sequences[s].capacity, job->head_dim);
    if (floats > most) most = floats;
  }
  return most;
}

static void append_all(const CachedJob *job) {
  const float *qkv = job->qkv;
  for (int64_t s = 0; s < job->n; s++) {
    append_rows(job, &job->sequences[s], qkv);
    qkv += job->sequences[s].count * 3 * job->dim;
  }
}

static bool run_cached(GptEnv *env, CachedJob *job) {
  int64_t heads = job->n * job->n_heads;
  if (!gpt_scratch_init(&job->scratch, env, cached_scratch_floats(job), heads)) return false;
  append_all(job);
  gpt_parallel_for(heads, 1, cached_heads, job);
  gpt_scratch_free(&job->scratch, env);
  return true;
}

GptTensor *gpt_attention_cached(GptEnv *env, GptTensor *qkv, int64_t n_heads, int64_t n, const GptCachedRows *rows) {
  if (!check_attention_shape(env, qkv, n_heads)) return NULL;
  GptTensor *contiguous = gpt_tensor_contiguous_floats(env, "attention", qkv);
  GptTensor *out = contiguous != NULL ? new_out(env, contiguous) : NULL;
  int64_t dim = qkv->shape[2] / 3;
  bool done = false;
  if (out != NULL) {
    CachedJob job = {.n = n, .sequences = rows, .qkv = gpt_floats(contiguous), .out = gpt_floats(out),
                     .dim = dim, .n_heads = n_heads, .head_dim = dim / n_heads};
    done = run_cached(env, &job);
  }
  return gpt_tensor_then(contiguous, gpt_tensor_if(done, out));
}
