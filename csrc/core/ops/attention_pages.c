#include "core/ops/attention_pages.h"

#include "core/kernels/kernels.h"
#include "core/linalg/matrix.h"

size_t gpt_key_page_bytes(GptDtype dtype, int64_t tokens, int64_t n_kv_heads, int64_t head_dim) {
  return gpt_dtype_bytes(dtype, 2 * n_kv_heads * tokens * head_dim);
}

static bool reads_in_place(int64_t queries) { return queries <= GPT_SKINNY_ROWS; }

int64_t gpt_paged_scratch(GptDtype dtype, int64_t queries, int64_t keys, int64_t head_dim) {
  if (reads_in_place(queries)) return queries * keys;
  int64_t converted = dtype == GPT_F32 ? 0 : GPT_PAGE_TOKENS * head_dim;
  return queries * keys + converted + gpt_attention_scratch(queries, GPT_PAGE_TOKENS, head_dim);
}

/* Keys of a tile that lie side by side in one page, or their values. */
typedef struct PageRun {
  int64_t first, count; /* of the tile's keys */
  const char *rows;     /* [count, head_dim], of the cache's dtype */
  const char *next;     /* where the next run begins; NULL: there is none */
} PageRun;

/* Where a token's row lies; part: where the head's keys, or its values, begin in a page. */
static const char *row_of(const GptPagedHead *head, int64_t token, int64_t part) {
  return head->pages[token / head->page_tokens] + part + token % head->page_tokens * head->row_bytes;
}

/* From that key on. */
static PageRun page_run(const GptAttentionTile *t, int64_t key, int64_t part) {
  const GptPagedHead *head = t->paged;
  int64_t token = head->first + key, room = head->page_tokens - token % head->page_tokens, left = t->keys - key;
  if (room >= left) return (PageRun){key, left, row_of(head, token, part), NULL};
  return (PageRun){key, room, row_of(head, token, part), row_of(head, token + room, part)};
}

static GptFewRows few_rows(const GptAttentionTile *t, const PageRun *run) {
  return (GptFewRows){.w = run->rows, .w_bytes = t->paged->row_bytes, .m = t->queries, .next = run->next};
}

static const GptFewRowsKernels *few_kernels(const GptAttentionTile *t) {
  return gpt_kernels()->weights[t->paged->dtype].few;
}

static void score_few(const GptAttentionTile *t, const PageRun *run, float *scores) {
  GptFewRows o = few_rows(t, run);
  o.y = scores + run->first, o.ldy = t->keys;
  o.x = t->q.data, o.x_bytes = t->q.stride * (int64_t)sizeof(float), o.k = t->head_dim;
  few_kernels(t)->multiply(&o, 0, run->count);
}

/* The order of a sum is that of all keys side by side. */
static void mix_few(const GptAttentionTile *t, const PageRun *run, const float *weights) {
  GptFewRows o = few_rows(t, run);
  o.y = t->out.data, o.ldy = t->out.stride, o.add = run->first > 0;
  o.x = weights + run->first, o.x_bytes = t->keys * (int64_t)sizeof(float), o.k = run->count;
  few_kernels(t)->multiply_across(&o, 0, t->head_dim);
}

/* The run as floats, where it lies or converted into *scratch, which moves on behind it. */
static GptMatrix run_matrix(const GptAttentionTile *t, const PageRun *run, float **scratch) {
  float *floats = (float *)run->rows;
  if (t->paged->dtype != GPT_F32) {
    floats = *scratch;
    gpt_dtype(t->paged->dtype)->to_floats(floats, run->rows, run->count * t->head_dim);
    *scratch += GPT_PAGE_TOKENS * t->head_dim;
  }
  return (GptMatrix){floats, run->count, t->head_dim, t->head_dim, 1};
}

static GptMatrix tile_rows_matrix(GptHeadRows rows, const GptAttentionTile *t) {
  return (GptMatrix){rows.data, t->queries, t->head_dim, rows.stride, 1};
}

static GptMatrix run_columns(const GptAttentionTile *t, const PageRun *run, float *scores) {
  return (GptMatrix){scores + run->first, t->queries, run->count, t->keys, 1};
}

/* What causality leaves out of the run's part of a product. */
static GptCausal run_causal(const GptAttentionTile *t, const PageRun *run, GptCausalKeys keys) {
  return (GptCausal){t->causal && t->step == 1 ? keys : GPT_NOT_CAUSAL, t->past - run->first};
}

static void score_many(const GptAttentionTile *t, const PageRun *run, float *scores, float *scratch) {
  GptMatrix k = run_matrix(t, run, &scratch);
  gpt_matrix_multiply_serial(run_columns(t, run, scores), tile_rows_matrix(t->q, t), gpt_matrix_transposed(k), false,
                             run_causal(t, run, GPT_KEYS_ARE_COLUMNS), scratch);
}

static void mix_many(const GptAttentionTile *t, const PageRun *run, float *weights, float *scratch) {
  GptMatrix v = run_matrix(t, run, &scratch);
  gpt_matrix_multiply_serial(tile_rows_matrix(t->out, t), run_columns(t, run, weights), v, run->first > 0,
                             run_causal(t, run, GPT_KEYS_ARE_DEPTH), scratch);
}

void gpt_paged_scores(const GptAttentionTile *t, float *scores, float *scratch) {
  PageRun run;
  for (int64_t key = 0; key < t->keys; key += run.count) {
    run = page_run(t, key, t->paged->keys);
    if (reads_in_place(t->queries)) score_few(t, &run, scores);
    else score_many(t, &run, scores, scratch);
  }
}

void gpt_paged_values(const GptAttentionTile *t, float *weights, float *scratch) {
  PageRun run;
  for (int64_t key = 0; key < t->keys; key += run.count) {
    run = page_run(t, key, t->paged->values);
    if (reads_in_place(t->queries)) mix_few(t, &run, weights);
    else mix_many(t, &run, weights, scratch);
  }
}
