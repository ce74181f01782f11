#include "core/ops/attention.h"

#include <string.h>

#include "core/base/parallel.h"
#include "core/linalg/matrix.h"
#include "core/ops/attention_heads.h"
#include "core/tensor/graph.h"

/* A whole call. */
typedef struct AttentionJob {
  GptHeads q, k, v, out;     /* [batch, queries or keys, heads, head_dim] */
  GptHeads dq, dk, dv, dout; /* in a backward */
  float *lse;                /* [batch, n_heads, queries] or NULL */
  float *weights;            /* [batch, n_heads, queries, keys], where these are wanted; or NULL */
  int64_t batch, queries, keys, n_heads, n_kv_heads, head_dim, tiles;
  const GptAttentionRule *rule;
  GptScratch scratch;
} AttentionJob;

static int64_t query_tiles(int64_t queries) { return (queries + GPT_QUERY_TILE - 1) / GPT_QUERY_TILE; }

static AttentionJob new_job(const GptTensor *q, const GptTensor *k, const GptTensor *v, const GptAttentionRule *rule) {
  return (AttentionJob){
      .q = gpt_heads_of(q),
      .k = gpt_heads_of(k),
      .v = gpt_heads_of(v),
      .batch = q->shape[0],
      .queries = q->shape[1],
      .keys = k->shape[1],
      .n_heads = q->shape[2],
      .n_kv_heads = k->shape[2],
      .head_dim = q->shape[3],
      .tiles = query_tiles(q->shape[1]),
      .rule = rule,
  };
}

/* [batch, queries, n_heads, head_dim], also where it lies as [batch, queries, dim] */
static GptHeads out_heads(const AttentionJob *job, const GptTensor *out) {
  int64_t row = job->n_heads * job->head_dim;
  return (GptHeads){gpt_floats(out), job->queries * row, row, job->head_dim};
}

static int64_t kv_head(const AttentionJob *job, int64_t h) { return h / (job->n_heads / job->n_kv_heads); }

/* The first key that the queries from `first` on see. */
static int64_t first_key(const AttentionJob *job, int64_t first) {
  int64_t window = job->rule->window, seen = job->keys - job->queries + first + 1;
  return window > 0 && seen > window ? seen - window : 0;
}

static GptAttentionTile tile_at(const AttentionJob *job, int64_t b, int64_t h, int64_t tile) {
  int64_t first = tile * GPT_QUERY_TILE, left = job->queries - first, past = job->keys - job->queries + first;
  int64_t low = first_key(job, first), row = (b * job->n_heads + h) * job->queries + first;
  GptAttentionTile t = gpt_attention_tile_of(job->rule, job->head_dim);
  t.q = gpt_head_rows(job->q, b, h, first);
  t.k = gpt_head_rows(job->k, b, kv_head(job, h), low);
  t.v = gpt_head_rows(job->v, b, kv_head(job, h), low);
  t.queries = left < GPT_QUERY_TILE ? left : GPT_QUERY_TILE;
  t.past = past - low;
  t.keys = t.causal ? t.past + t.queries : job->keys;
  t.lse = job->lse != NULL ? job->lse + row : NULL;
  t.mask_row = (uint64_t)row;
  t.mask_columns = job->keys;
  t.mask_first = low;
  if (job->out.data != NULL) t.out = gpt_head_rows(job->out, b, h, first);
  return t;
}

/* Keeps a tile's weights [queries, keys of the tile] as rows of all keys. */
static void keep_weights(const AttentionJob *job, const GptAttentionTile *t, const float *weights) {
  for (int64_t i = 0; i < t->queries; i++) {
    float *row = job->weights + (int64_t)(t->mask_row + (uint64_t)i) * job->keys;
    memset(row, 0, (size_t)job->keys * sizeof *row);
    memcpy(row + t->mask_first, weights + i * t->keys, (size_t)t->keys * sizeof *row);
  }
}

/* Items are tiles; late ones, which see the most keys, come first. */
static void forward_tiles(void *context, int64_t first, int64_t last) {
  AttentionJob *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  for (int64_t item = first; item < last; item++) {
    int64_t tile = job->tiles - 1 - item / (job->batch * job->n_heads), head = item % (job->batch * job->n_heads);
    GptAttentionTile t = tile_at(job, head / job->n_heads, head % job->n_heads, tile);
    if (job->weights != NULL) gpt_attention_tile_weights(&t, scratch), keep_weights(job, &t, scratch);
    else gpt_attention_tile(&t, scratch);
  }
  gpt_scratch_put(&job->scratch, scratch);
}

static bool run_tiles(GptEnv *env, AttentionJob *job) {
  int64_t tiles = job->batch * job->n_heads * job->tiles;
  int64_t keys = gpt_attention_most_keys(job->rule, GPT_QUERY_TILE, job->keys);
  if (!gpt_matrix_scratch_init(&job->scratch, env, gpt_attention_scratch(GPT_QUERY_TILE, keys, job->head_dim), tiles))
    return false;
  gpt_parallel_for(tiles, 1, forward_tiles, job);
  gpt_scratch_free(&job->scratch, env);
  return true;
}

/* With a window no tile sees all keys: gradients of keys begin at 0. */
static void clear_rows(const AttentionJob *job, GptHeadRows rows) {
  for (int64_t i = 0; i < job->keys; i++)
    memset(rows.data + i * rows.stride, 0, (size_t)job->head_dim * sizeof *rows.data);
}

static void backward_head(const AttentionJob *job, int64_t b, int64_t h, bool add, float *scratch) {
  int64_t kv = kv_head(job, h);
  for (int64_t tile = job->tiles - 1; tile >= 0; tile--) {
    GptAttentionTile t = tile_at(job, b, h, tile);
    int64_t first = tile * GPT_QUERY_TILE;
    GptHeadRows dk = gpt_head_rows(job->dk, b, kv, t.mask_first), dv = gpt_head_rows(job->dv, b, kv, t.mask_first);
    gpt_attention_tile_backward(&t, gpt_head_rows(job->dout, b, h, first), gpt_head_rows(job->dq, b, h, first), dk, dv,
                                add || tile < job->tiles - 1, scratch);
  }
}

/* Items are heads of keys: all tiles of the queries that read them add to the same gradient, so they follow each other,
 * of each head the widest first. */
static void backward_heads(void *context, int64_t first, int64_t last) {
  AttentionJob *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  int64_t group = job->n_heads / job->n_kv_heads;
  bool window = job->rule->window > 0;
  for (int64_t item = first; item < last; item++) {
    int64_t b = item / job->n_kv_heads, kv = item % job->n_kv_heads;
    if (window) clear_rows(job, gpt_head_rows(job->dk, b, kv, 0)), clear_rows(job, gpt_head_rows(job->dv, b, kv, 0));
    for (int64_t i = 0; i < group; i++) backward_head(job, b, kv * group + i, window || i > 0, scratch);
  }
  gpt_scratch_put(&job->scratch, scratch);
}

static bool run_backward(GptEnv *env, AttentionJob *job) {
  int64_t keys = gpt_attention_most_keys(job->rule, GPT_QUERY_TILE, job->keys), heads = job->batch * job->n_kv_heads;
  int64_t floats = gpt_attention_backward_scratch(keys, job->head_dim, job->rule->softcap != 0);
  if (!gpt_matrix_scratch_init(&job->scratch, env, floats, heads)) return false;
  gpt_parallel_for(heads, 1, backward_heads, job);
  gpt_scratch_free(&job->scratch, env);
  return true;
}

/* Of a node: what the rule was. integers: causal, window, seed, heads of keys; numbers: scale, softcap, drop_rate */
static GptAttentionRule rule_of(const GptNode *node) {
  return (GptAttentionRule){.causal = node->integers[0] != 0,
                            .window = node->integers[1],
                            .seed = (uint64_t)node->integers[2],
                            .scale = node->numbers[0],
                            .softcap = node->numbers[1],
                            .drop_rate = node->numbers[2]};
}

/* The parts of packed queries, keys and values, or of their gradient. */
static void split_packed(GptHeads parts[3], const GptTensor *packed, int64_t n_heads, int64_t n_kv_heads) {
  int64_t width = packed->shape[2], head_dim = width / (n_heads + 2 * n_kv_heads);
  float *data = gpt_floats(packed);
  for (int i = 0; i < 3; i++) {
    int64_t at = i == 0 ? 0 : (n_heads + (i - 1) * n_kv_heads) * head_dim;
    parts[i] = (GptHeads){data + at, packed->shape[1] * width, width, head_dim};
  }
}

static AttentionJob packed_job(const GptTensor *qkv, int64_t n_heads, int64_t n_kv_heads, const GptAttentionRule *rule) {
  GptHeads parts[3];
  split_packed(parts, qkv, n_heads, n_kv_heads);
  int64_t tokens = qkv->shape[1];
  return (AttentionJob){.q = parts[0],
                        .k = parts[1],
                        .v = parts[2],
                        .batch = qkv->shape[0],
                        .queries = tokens,
                        .keys = tokens,
                        .n_heads = n_heads,
                        .n_kv_heads = n_kv_heads,
                        .head_dim = qkv->shape[2] / (n_heads + 2 * n_kv_heads),
                        .tiles = query_tiles(tokens),
                        .rule = rule};
}

/* Puts the forward's output and the gradient of it, which is contiguous, into a job. */
static void set_outputs(AttentionJob *job, const GptTensor *out, const GptTensor *lse, const GptTensor *dout) {
  job->out = out_heads(job, out);
  job->lse = gpt_floats(lse);
  job->dout = out_heads(job, dout);
}

/* inputs: qkv; saves: qkv (contiguous), out, lse */
static bool packed_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dout = gpt_tensor_as_contiguous(env, grad), *qkv = gpt_node_saved(node, 0);
  GptTensor *dqkv = dout != NULL ? gpt_tensor_like(env, qkv) : NULL;
  bool done = dqkv != NULL;
  if (done) {
    GptAttentionRule rule = rule_of(node);
    GptHeads parts[3];
    AttentionJob job = packed_job(qkv, node->integers[4], node->integers[3], &rule);
    set_outputs(&job, gpt_node_saved(node, 1), gpt_node_saved(node, 2), dout);
    split_packed(parts, dqkv, job.n_heads, job.n_kv_heads);
    job.dq = parts[0], job.dk = parts[1], job.dv = parts[2];
    done = run_backward(env, &job);
  }
  gpt_tensor_release(dout);
  if (done) return gpt_node_give(env, node, 0, dqkv);
  gpt_tensor_release(dqkv);
  return false;
}

/* inputs: q, k, v; saves: the three as floats, out, lse */
static bool attention_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dout = gpt_tensor_as_contiguous(env, grad), *given[3] = {NULL, NULL, NULL};
  bool done = dout != NULL;
  for (int i = 0; i < 3 && done; i++) {
    const GptTensor *saved = gpt_node_saved(node, i);
    given[i] = gpt_tensor_new(env, GPT_F32, 4, saved->shape);
    done = given[i] != NULL;
  }
  if (done) {
    GptAttentionRule rule = rule_of(node);
    AttentionJob job = new_job(gpt_node_saved(node, 0), gpt_node_saved(node, 1), gpt_node_saved(node, 2), &rule);
    set_outputs(&job, gpt_node_saved(node, 3), gpt_node_saved(node, 4), dout);
    job.dq = gpt_heads_of(given[0]), job.dk = gpt_heads_of(given[1]), job.dv = gpt_heads_of(given[2]);
    done = run_backward(env, &job);
  }
  for (int i = 0; i < 3; i++) {
    if (done) done = gpt_node_give(env, node, i, given[i]);
    else gpt_tensor_release(given[i]);
  }
  gpt_tensor_release(dout);
  return done;
}

static const GptOp attention_op = {"attention", attention_backward};
static const GptOp packed_op = {"attention", packed_backward};

/* What a node keeps of the rule. */
static GptOpCall call_of(const GptOp *op, const AttentionJob *job) {
  const GptAttentionRule *rule = job->rule;
  return (GptOpCall){.op = op,
                     .integers = {rule->causal, rule->window, (int64_t)rule->seed, job->n_kv_heads, job->n_heads},
                     .numbers = {rule->scale, rule->softcap, rule->drop_rate}};
}

/* Makes and fills the job's output; *lse is made where a backward wants it. */
static GptTensor *run_forward(GptEnv *env, AttentionJob *job, GptTensor *out, bool recorded, GptTensor **lse) {
  *lse = NULL;
  if (out == NULL) return NULL;
  if (recorded) *lse = gpt_tensor_new(env, GPT_F32, 3, (int64_t[]){job->batch, job->n_heads, job->queries});
  job->out = out_heads(job, out);
  if (*lse != NULL) job->lse = gpt_floats(*lse);
  return gpt_tensor_if((*lse != NULL || !recorded) && run_tiles(env, job), out);
}

GptTensor *gpt_attention(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule) {
  if (!gpt_attention_check(env, q, k, v, rule)) return NULL;
  GptTensor *given[3] = {q, k, v}, *floats[3] = {NULL, NULL, NULL}, *lse = NULL, *y = NULL;
  bool done = true;
  for (int i = 0; i < 3 && done; i++) done = (floats[i] = gpt_heads_floats(env, given[i])) != NULL;
  if (done) {
    AttentionJob job = new_job(floats[0], floats[1], floats[2], rule);
    y = run_forward(env, &job, gpt_tensor_new(env, GPT_F32, 4, q->shape), gpt_graph_wanted(env, 3, given), &lse);
    GptOpCall call = call_of(&attention_op, &job);
    call.inputs = given, call.n_inputs = 3;
    call.saves = (GptTensor *const[]){floats[0], floats[1], floats[2], y, lse}, call.n_saves = 5;
    y = gpt_graph_add(env, y, call);
  }
  for (int i = 0; i < 3; i++) gpt_tensor_release(floats[i]);
  gpt_tensor_release(lse);
  return y;
}

static bool check_packed(GptEnv *env, const GptTensor *qkv, int64_t n_heads, int64_t n_kv_heads) {
  char text[GPT_SHAPE_TEXT];
  if (qkv->ndim == 3 && qkv->shape[2] % (n_heads + 2 * n_kv_heads) == 0 && qkv->shape[2] > 0) return true;
  return gpt_fail(env,
                  "attention: queries, keys and values of shape [batch, tokens, width] with a width divisible by %lld "
                  "heads expected, got %s",
                  (long long)(n_heads + 2 * n_kv_heads), gpt_tensor_shape_text(qkv, text));
}

GptTensor *gpt_attention_packed(GptEnv *env, GptTensor *qkv, int64_t n_heads, int64_t n_kv_heads,
                                const GptAttentionRule *rule) {
  if (!check_packed(env, qkv, n_heads, n_kv_heads)) return NULL;
  GptTensor *floats = gpt_tensor_contiguous_floats(env, "attention", qkv), *lse = NULL;
  if (floats == NULL) return NULL;
  AttentionJob job = packed_job(floats, n_heads, n_kv_heads, rule);
  int64_t shape[] = {job.batch, job.queries, n_heads * job.head_dim};
  GptTensor *y = run_forward(env, &job, gpt_tensor_new(env, GPT_F32, 3, shape), gpt_graph_wanted(env, 1, &qkv), &lse);
  GptOpCall call = call_of(&packed_op, &job);
  call.inputs = &qkv, call.n_inputs = 1;
  call.saves = (GptTensor *const[]){floats, y, lse}, call.n_saves = 3;
  y = gpt_graph_add(env, y, call);
  gpt_tensor_release(lse);
  gpt_tensor_release(floats);
  return y;
}

GptTensor *gpt_attention_part(GptEnv *env, const GptTensor *qkv, int which, int64_t n_heads, int64_t n_kv_heads) {
  if (!check_packed(env, qkv, n_heads, n_kv_heads)) return NULL;
  int64_t head_dim = qkv->shape[2] / (n_heads + 2 * n_kv_heads), last = qkv->stride[2];
  int64_t shape[] = {qkv->shape[0], qkv->shape[1], which == 0 ? n_heads : n_kv_heads, head_dim};
  int64_t stride[] = {qkv->stride[0], qkv->stride[1], head_dim * last, last};
  int64_t heads_before = which == 0 ? 0 : n_heads + (which - 1) * n_kv_heads;
  return gpt_tensor_view(env, qkv, 4, shape, stride, qkv->offset + heads_before * head_dim * last);
}

GptTensor *gpt_attention_weights(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule) {
  if (!gpt_attention_check(env, q, k, v, rule)) return NULL;
  GptAttentionRule plain = *rule;
  plain.drop_rate = 0;
  GptTensor *queries = gpt_heads_floats(env, q), *keys = queries != NULL ? gpt_heads_floats(env, k) : NULL;
  int64_t shape[] = {q->shape[0], q->shape[2], q->shape[1], k->shape[1]};
  GptTensor *weights = keys != NULL ? gpt_tensor_new(env, GPT_F32, 4, shape) : NULL;
  if (weights != NULL) {
    AttentionJob job = new_job(queries, keys, keys, &plain);
    job.weights = gpt_floats(weights);
    weights = gpt_tensor_if(run_tiles(env, &job), weights);
  }
  gpt_tensor_release(keys);
  return gpt_tensor_then(queries, weights);
}
