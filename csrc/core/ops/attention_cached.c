/* Attention over sequences whose earlier keys and values lie in caches. */
#include "core/base/cache_line.h"
#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"
#include "core/ops/attention_heads.h"
#include "core/ops/attention_pages.h"

#define ASKED 4096 /* bytes of an item's keys, and of its values, asked for ahead */
#define PIECES 8 /* a token's work in one sequence is cut into so many items at least, where it has the heads */

/* A pass over cached sequences. */
typedef struct CachedJob {
  int64_t n;
  const GptCachedRows *sequences; /* [n] */
  GptHeads q, k, v, out;          /* [1, rows of all sequences, heads, head_dim] */
  int64_t n_heads, n_kv_heads, head_dim;
  int64_t together; /* queries of one token that read the same keys at once */
  const GptAttentionRule *rule;
  GptScratch scratch;
} CachedJob;

/* Queries of one token that read the same keys are so many items. */
static int64_t pieces_of(const CachedJob *job) {
  return (job->n_heads / job->n_kv_heads + job->together - 1) / job->together;
}

/* One head of a sequence, read from token `first` on. */
static GptPagedHead paged_head(const CachedJob *job, const GptCachedRows *rows, int64_t kv, int64_t first) {
  int64_t row = (int64_t)gpt_dtype_bytes(rows->dtype, job->head_dim), head = rows->page_tokens * row;
  return (GptPagedHead){
      rows->pages, rows->dtype, rows->page_tokens, first, kv * head, (job->n_kv_heads + kv) * head, row};
}

/* Puts the new keys and values of one row of a sequence, which is row `row` of the pass, where its token's place is. */
static void append_row(const CachedJob *job, const GptCachedRows *rows, int64_t token, int64_t row) {
  void (*from_floats)(void *, const float *, int64_t) = gpt_dtype(rows->dtype)->from_floats;
  for (int64_t h = 0; h < job->n_kv_heads; h++) {
    GptPagedHead head = paged_head(job, rows, h, 0);
    char *to = rows->pages[token / rows->page_tokens] + token % rows->page_tokens * head.row_bytes;
    from_floats(to + head.keys, gpt_head_rows(job->k, 0, h, row).data, job->head_dim);
    from_floats(to + head.values, gpt_head_rows(job->v, 0, h, row).data, job->head_dim);
  }
}

/* Items are rows of all sequences. */
static void append_rows(void *context, int64_t first, int64_t last) {
  const CachedJob *job = context;
  int64_t begin = 0;
  for (int64_t s = 0; s < job->n && begin < last; begin += job->sequences[s++].count) {
    const GptCachedRows *rows = &job->sequences[s];
    int64_t end = begin + rows->count < last ? begin + rows->count : last;
    for (int64_t row = first > begin ? first : begin; row < end; row++)
      append_row(job, rows, rows->length + row - begin, row);
  }
}

/* Where head h's keys and values lie from the first on that a tile sees, the tile's first query being row `first` of
 * the sequence. A sequence that has no others finds its floats in this pass's rows, which lie side by side. */
static void set_keys(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t first, int64_t h,
                     GptAttentionTile *t, GptPagedHead *head) {
  int64_t kv = h / (job->n_heads / job->n_kv_heads), low = rows->length + first - t->past;
  if (rows->length == 0 && rows->dtype == GPT_F32) {
    t->k = gpt_head_rows(job->k, 0, kv, row + low);
    t->v = gpt_head_rows(job->v, 0, kv, row + low);
    return;
  }
  *head = paged_head(job, rows, kv, low);
  t->paged = head;
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
  int64_t group = job->n_heads / job->n_kv_heads, pieces = pieces_of(job);
  int64_t first = piece % pieces * job->together, left = group - first;
  int64_t h = piece / pieces * group + first;
  GptAttentionTile t = cached_tile(job, rows, row, 0, h);
  t.queries = left < job->together ? left : job->together;
  t.step = 0;
  t.keys = t.past + 1;
  t.q.stride = job->q.head;
  t.out.stride = job->out.head;
  GptPagedHead head;
  set_keys(job, rows, row, 0, h, &t, &head);
  gpt_attention_tile(&t, scratch);
}

/* A slice of tokens: a tile of one head. */
static void attend_tokens(const CachedJob *job, const GptCachedRows *rows, int64_t row, int64_t item, float *scratch) {
  int64_t first = item / job->n_heads * GPT_QUERY_TILE, left = rows->count - first;
  GptAttentionTile t = cached_tile(job, rows, row, first, item % job->n_heads);
  t.queries = left < GPT_QUERY_TILE ? left : GPT_QUERY_TILE;
  t.keys = t.past + t.queries;
  GptPagedHead head;
  set_keys(job, rows, row, first, item % job->n_heads, &t, &head);
  gpt_attention_tile(&t, scratch);
}

static int64_t items_of(const CachedJob *job, const GptCachedRows *rows) {
  if (rows->count == 1) return job->n_kv_heads * pieces_of(job);
  return job->n_heads * ((rows->count + GPT_QUERY_TILE - 1) / GPT_QUERY_TILE);
}

/* Asks for the first keys and values of a token's item, while the one before it is computed: of many sequences each has
   few, which lie far apart. */
static void ask_for(const CachedJob *job, const GptCachedRows *rows, int64_t item) {
  if (rows->count != 1 || rows->length == 0) return;
  const int64_t window = job->rule->window, length = rows->length;
  const int64_t low = window > 0 && length + 1 > window ? length + 1 - window : 0, within = low % rows->page_tokens;
  const GptPagedHead head = paged_head(job, rows, item / pieces_of(job), low);
  const int64_t room = (rows->page_tokens - within) * head.row_bytes, all = (length - low) * head.row_bytes;
  const int64_t bytes = all < room ? all : room;
  const char *from = rows->pages[low / rows->page_tokens] + within * head.row_bytes;
  for (int64_t at = 0; at < bytes && at < ASKED; at += GPT_CACHE_LINE) {
    __builtin_prefetch(from + head.keys + at);
    __builtin_prefetch(from + head.values + at);
  }
}

static void cached_items(void *context, int64_t first, int64_t last) {
  CachedJob *job = context;
  float *scratch = gpt_scratch_take(&job->scratch);
  int64_t before = 0, row = 0;
  for (int64_t s = 0; s < job->n && before < last; s++) {
    const GptCachedRows *rows = &job->sequences[s];
    int64_t items = items_of(job, rows), end = before + items < last ? before + items : last;
    for (int64_t item = first > before ? first : before; item < end; item++) {
      if (item + 1 < before + items) ask_for(job, rows, item + 1 - before);
      else if (s + 1 < job->n) ask_for(job, rows + 1, 0);
      if (rows->count == 1) attend_token(job, rows, row, item - before, scratch);
      else attend_tokens(job, rows, row, item - before, scratch);
    }
    before += items;
    row += rows->count;
  }
  gpt_scratch_put(&job->scratch, scratch);
}

/* Twice as much where it does not suffice, so that it stays the same from token to token. */
static int64_t rounded_keys(int64_t keys) {
  int64_t room = GPT_PAGE_TOKENS;
  while (room < keys) room *= 2;
  return room;
}

/* Room for any sequence's tile. */
static int64_t cached_scratch_floats(const CachedJob *job) {
  int64_t most = 0;
  for (int64_t s = 0; s < job->n; s++) {
    const GptCachedRows *rows = &job->sequences[s];
    int64_t queries = rows->count < GPT_QUERY_TILE ? rows->count : GPT_QUERY_TILE;
    int64_t keys = gpt_attention_most_keys(job->rule, queries, rounded_keys(rows->length + rows->count));
    if (rows->count == 1) queries = job->together;
    int64_t paged = gpt_paged_scratch(rows->dtype, queries, keys, job->head_dim);
    int64_t plain = rows->length == 0 ? gpt_attention_scratch(queries, keys, job->head_dim) : 0;
    int64_t floats = paged > plain ? paged : plain;
    if (floats > most) most = floats;
  }
  return most;
}

static bool run_cached(GptEnv *env, CachedJob *job) {
  int64_t items = 0, rows = 0;
  for (int64_t s = 0; s < job->n; s++) items += items_of(job, &job->sequences[s]), rows += job->sequences[s].count;
  if (!gpt_matrix_scratch_init(&job->scratch, env, cached_scratch_floats(job), items)) return false;
  gpt_parallel_for(rows, gpt_grain(2 * job->n_kv_heads * job->head_dim), append_rows, job);
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
