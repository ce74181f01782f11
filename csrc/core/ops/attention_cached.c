/* Attention over sequences whose earlier keys and values lie in caches. */
#include "core/base/parallel.h"
#include "core/base/scratch.h"
#include "core/kernels/kernels.h"
#include "core/ops/attention_heads.h"

#define PIECES 8 /* a token's work in one sequence is cut into so many items at least, where it has the heads */

/* A pass over cached sequences. */
typedef struct CachedJob {
  int64_t n;
  const GptCachedRows *sequences; /* [n] */
  GptHeads q, k, v, out;          /* [1, rows of all sequences, heads, head_dim] */
  int64_t n_heads, n_kv_heads, head_dim;
  int64_t together; /* queries of one token that read the same keys at once */
  const GptAttentionRule *rule;
  int64_t tile_floats; /* of scratch for a tile; converted keys and values lie behind them */
  GptScratch scratch;
} CachedJob;

/* Where number `at` of a cache's keys or values lies. */
static char *cached_at(const GptCachedRows *rows, void *data, int64_t at) {
  return (char *)data + gpt_dtype_bytes(rows->dtype, at);
}

/* Puts a sequence's new keys and values, from that row on, behind those it has. */
static void append_rows(const CachedJob *job, const GptCachedRows *rows, int64_t row) {
  void (*from_floats)(void *, const float *, int64_t) = gpt_dtype(rows->dtype)->from_floats;
  for (int64_t h = 0; h < job->n_kv_heads; h++) {
    GptHeadRows k = gpt_head_rows(job->k, 0, h, row), v = gpt_head_rows(job->v, 0, h, row);
    int64_t at = (h * rows->capacity + rows->length) * job->head_dim;
    for (int64_t i = 0; i < rows->count; i++, at += job->head_dim) {
      from_floats(cached_at(rows, rows->keys, at), k.data + i * k.stride, job->head_dim);
      from_floats(cached_at(rows, rows->values, at), v.data + i * v.stride, job->head_dim);
    }
  }
}

/* Keys or values from number `at` on, as floats: where they lie, or converted into scratch. */
static GptHeadRows cached_floats(const CachedJob *job, const GptCachedRows *rows, void *data, int64_t at, int64_t count,
                                 float *scratch) {
  if (rows->dtype == GPT_F32) return (GptHeadRows){(float *)data + at, job->head_dim};
  gpt_dtype(rows->dtype)->to_floats(scratch, cached_at(rows, data, at), count * job->head_dim);
  return (GptHeadRows){scratch, job->head_dim};
}

/* Gives a tile, whose `past` and `keys` are known, the keys and values that its queries see: of head h, for queries
   from row `first` of the sequence on. */
static void set_keys(const CachedJob *job, const GptCachedRows *rows, int64_t first, int64_t h, GptAttentionTile *t,
                     float *scratch) {
  int64_t kv = h / (job->n_heads / job->n_kv_heads), low = rows->length + first - t->past;
  int64_t at = (kv * rows->capacity + low) * job->head_dim;
  float *converted = scratch + job->tile_floats;
  t->k = cached_floats(job, rows, rows->keys, at, t->keys, converted);
  t->v = cached_floats(job, rows, rows->values, at, t->keys, converted + t->keys * job->head_dim);
}

/* Queries from row `first` of a sequence on, of head h, whose keys begin where the first one's window does; without the
   keys. */
static GptAttentionTile cached_tile(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t first,
                                    int64_t h) {
  GptAttentionTile t = gpt_attention_tile_of(job->rule, job->head_dim);
  int64_t past = rows->length + first, low = t.window > 0 && past + 1 > t.window ? past + 1 - t.window : 0;
  t.q = gpt_head_rows(job->q, 0, h, row + first);
  t.out = gpt_head_rows(job->out, 0, h, row + first);
  t.past = past - low;
  return t;
}

/* One token: some of the queries that read the same keys. */
static void attend_token(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t piece, float *scratch) {
  int64_t group = job->n_heads / job->n_kv_heads, pieces = (group + job->together - 1) / job->together;
  int64_t first = piece % pieces * job->together, left = group - first;
  int64_t h = piece / pieces * group + first;
  GptAttentionTile t = cached_tile(job, rows, row, 0, h);
  t.queries = left < job->together ? left : job->together;
  t.step = 0;
  t.keys = t.past + 1;
  t.q.stride = job->q.head;
  t.out.stride = job->out.head;
  set_keys(job, rows, 0, h, &t, scratch);
  gpt_attention_tile(&t, scratch);
}

/* A slice of tokens: a tile of one head. */
static void attend_tokens(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t item, float *scratch) {
  int64_t first = item / job->n_heads * GPT_QUERY_TILE, left = rows->count - first;
  GptAttentionTile t = cached_tile(job, rows, row, first, item % job->n_heads);
  t.queries = left < GPT_QUERY_TILE ? left : GPT_QUERY_TILE;
  t.keys = t.past + t.queries;
  set_keys(job, rows, first, item % job->n_heads, &t, scratch);
  gpt_attention_tile(&t, scratch);
}

static int64_t items_of(const CachedJob *job, const GptCachedRows *rows) {
  int64_t group = job->n_heads / job->n_kv_heads;
  if (rows->count == 1) return job->n_kv_heads * ((group + job->together - 1) / job->together);
  return job->n_heads * ((rows->count + GPT_QUERY_TILE - 1) / GPT_QUERY_TILE);
}

static void cached_items(void *context, int64_t first, int64_t last) {
  CachedJob *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  int64_t before = 0, row = 0;
  for (int64_t s = 0; s < job->n && before < last; s++) {
    const GptCachedRows *rows = &job->sequences[s];
    int64_t items = items_of(job, rows), end = before + items < last ? before + items : last;
    for (int64_t item = first > before ? first : before; item < end; item++) {
      if (rows->count == 1) attend_token(job, rows, row, item - before, scratch);
      else attend_tokens(job, rows, row, item - before, scratch);
    }
    before += items;
    row += rows->count;
  }
  gpt_scratch_put(&job->scratch, scratch);
}

/* Room for the scores of any sequence's tile, and for its keys and values where they are converted. It follows the
 * capacities, so that it stays the same from token to token. */
static int64_t cached_scratch_floats(CachedJob *job) {
  int64_t most = 0, converted = 0;
  for (int64_t s = 0; s < job->n; s++) {
    int64_t count = job->sequences[s].count, queries = count < GPT_QUERY_TILE ? count : GPT_QUERY_TILE;
    int64_t keys = gpt_attention_most_keys(job->rule, queries, job->sequences[s].capacity);
    int64_t floats = gpt_attention_scratch(count == 1 ? job->together : queries, keys, job->head_dim);
    if (floats > most) most = floats;
    if (job->sequences[s].dtype != GPT_F32 && 2 * keys * job->head_dim > converted)
      converted = 2 * keys * job->head_dim;
  }
  job->tile_floats = most;
  return most + converted;
}

static bool run_cached(GptEnv *env, CachedJob *job) {
  int64_t items = 0, row = 0;
  for (int64_t s = 0; s < job->n; s++) items += items_of(job, &job->sequences[s]);
  if (!gpt_scratch_init(&job->scratch, env, cached_scratch_floats(job), items)) return false;
  for (int64_t s = 0; s < job->n; row += job->sequences[s++].count) append_rows(job, &job->sequences[s], row);
  gpt_parallel_for(items, 1, cached_items, job);
  gpt_scratch_free(&job->scratch, env);
  return true;
}

/* Queries that share their keys read them together, as long as there are items enough for several threads. */
static int64_t queries_together(int64_t n_heads, int64_t n_kv_heads) {
  int64_t group = n_heads / n_kv_heads, pieces = (PIECES + n_kv_heads - 1) / n_kv_heads;
  int64_t together = pieces < group ? group / pieces : 1;
  return together < GPT_SKINNY_ROWS ? together : GPT_SKINNY_ROWS;
}

GptTensor *gpt_attention_cached(GptEnv *env, GptTensor *q, GptTensor *k, GptTensor *v, const GptAttentionRule *rule,
                                int64_t n, const GptCachedRows *rows) {
  if (!gpt_attention_check(env, q, k, v, rule)) return NULL;
  GptTensor *given[3] = {q, k, v}, *floats[3] = {NULL, NULL, NULL}, *out = NULL;
  bool done = true;
  for (int i = 0; i < 3 && done; i++) done = (floats[i] = gpt_heads_floats(env, given[i])) != NULL;
  if (done) out = gpt_tensor_new(env, GPT_F32, 4, q->shape);
  if (out != NULL) {
    CachedJob job = {.n = n, .sequences = rows, .q = gpt_heads_of(floats[0]), .k = gpt_heads_of(floats[1]),
                     .v = gpt_heads_of(floats[2]), .out = gpt_heads_of(out), .n_heads = q->shape[2],
                     .n_kv_heads = k->shape[2], .head_dim = q->shape[3], .rule = rule};
    job.together = queries_together(job.n_heads, job.n_kv_heads);
    out = gpt_tensor_if(run_cached(env, &job), out);
  }
  for (int i = 0; i < 3; i++) gpt_tensor_release(floats[i]);
  return out;
}
