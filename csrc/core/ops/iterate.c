#include "core/ops/iterate.h"

#include "core/base/parallel.h"

#define PIECE 8192 /* elements: longer inner runs are cut, so that threads can share one */

/* The walk with its dimensions merged; the last one is the inner run. */
typedef struct Walk {
  GptRun run;
  const void *context;
  int count, ndim;
  int64_t shape[GPT_MAX_DIMS];
  int64_t stride[GPT_EACH_MOST][GPT_MAX_DIMS]; /* in elements */
  int64_t size[GPT_EACH_MOST];                 /* bytes of an element */
  char *data[GPT_EACH_MOST];
  int64_t pieces; /* of each inner run */
} Walk;

/* Stride of t along dimension d of the walk's shape, to which it broadcasts. */
static int64_t stride_along(const GptTensor *t, int ndim, int d) {
  int own = d - (ndim - t->ndim);
  return own < 0 || t->shape[own] == 1 ? 0 : t->stride[own];
}

/* Does dimension d of the walk go on, in every tensor, where the one before it steps? */
static bool merges(const Walk *walk, GptTensor *const *tensors, int d) {
  int last = walk->ndim - 1, ndim = tensors[0]->ndim;
  if (last < 0) return false;
  for (int t = 0; t < walk->count; t++)
    if (walk->stride[t][last] != stride_along(tensors[t], ndim, d) * tensors[0]->shape[d]) return false;
  return true;
}

static void append_dim(Walk *walk, GptTensor *const *tensors, int d) {
  int64_t size = tensors[0]->shape[d];
  if (size == 1) return;
  if (merges(walk, tensors, d)) walk->shape[walk->ndim - 1] *= size;
  else walk->shape[walk->ndim++] = size;
  for (int t = 0; t < walk->count; t++) walk->stride[t][walk->ndim - 1] = stride_along(tensors[t], tensors[0]->ndim, d);
}

static void plan(Walk *walk, GptTensor *const *tensors) {
  for (int t = 0; t < walk->count; t++) {
    walk->size[t] = (int64_t)gpt_dtype(tensors[t]->storage->dtype)->bytes;
    walk->data[t] = gpt_tensor_data(tensors[t]);
  }
  for (int d = 0; d < tensors[0]->ndim; d++) append_dim(walk, tensors, d);
  if (walk->ndim == 0) { /* a single element */
    walk->ndim = 1;
    walk->shape[0] = 1;
    for (int t = 0; t < walk->count; t++) walk->stride[t][0] = 1;
  }
  walk->pieces = (walk->shape[walk->ndim - 1] + PIECE - 1) / PIECE;
}

/* Where a thread is: the index in each outer dimension, and the data there. */
typedef struct Cursor {
  int64_t index[GPT_MAX_DIMS];
  char *data[GPT_EACH_MOST];
} Cursor;

static void seek(const Walk *walk, Cursor *at, int64_t row) {
  for (int t = 0; t < walk->count; t++) at->data[t] = walk->data[t];
  for (int d = walk->ndim - 2; d >= 0; d--) {
    at->index[d] = row % walk->shape[d];
    row /= walk->shape[d];
    for (int t = 0; t < walk->count; t++) at->data[t] += at->index[d] * walk->stride[t][d] * walk->size[t];
  }
}

static void next_row(const Walk *walk, Cursor *at) {
  for (int d = walk->ndim - 2; d >= 0; d--) {
    for (int t = 0; t < walk->count; t++) at->data[t] += walk->stride[t][d] * walk->size[t];
    if (++at->index[d] < walk->shape[d]) return;
    for (int t = 0; t < walk->count; t++) at->data[t] -= walk->shape[d] * walk->stride[t][d] * walk->size[t];
    at->index[d] = 0;
  }
}

static void run_piece(const Walk *walk, const Cursor *at, int64_t piece) {
  int inner = walk->ndim - 1;
  int64_t first = piece * PIECE, left = walk->shape[inner] - first, stride[GPT_EACH_MOST];
  void *data[GPT_EACH_MOST];
  for (int t = 0; t < walk->count; t++) {
    stride[t] = walk->stride[t][inner];
    data[t] = at->data[t] + first * stride[t] * walk->size[t];
  }
  walk->run(walk->context, left < PIECE ? left : PIECE, data, stride);
}

/* An item is one piece of one inner run. */
static void walk_items(void *context, int64_t first, int64_t last) {
  const Walk *walk = context;
  Cursor at;
  int64_t piece = first % walk->pieces;
  seek(walk, &at, first / walk->pieces);
  for (int64_t item = first; item < last; item++) {
    run_piece(walk, &at, piece);
    if (++piece < walk->pieces) continue;
    piece = 0;
    next_row(walk, &at);
  }
}

void gpt_each(int count, GptTensor *const *tensors, GptRun run, const void *context) {
  Walk walk = {.run = run, .context = context, .count = count};
  int64_t n = gpt_tensor_numel(tensors[0]);
  if (n == 0) return;
  plan(&walk, tensors);
  int64_t inner = walk.shape[walk.ndim - 1], items = n / inner * walk.pieces;
  gpt_parallel_for(items, gpt_grain(inner < PIECE ? inner : PIECE), walk_items, &walk);
}

bool gpt_broadcast(GptEnv *env, const char *op, const GptTensor *a, const GptTensor *b, int *ndim, int64_t *shape) {
  char a_text[GPT_SHAPE_TEXT], b_text[GPT_SHAPE_TEXT];
  *ndim = a->ndim > b->ndim ? a->ndim : b->ndim;
  for (int d = 0; d < *ndim; d++) {
    int in_a = d - (*ndim - a->ndim), in_b = d - (*ndim - b->ndim);
    int64_t size_a = in_a < 0 ? 1 : a->shape[in_a], size_b = in_b < 0 ? 1 : b->shape[in_b];
    if (size_a != size_b && size_a != 1 && size_b != 1)
      return gpt_fail(env,
                      "%s: shapes %s and %s do not fit: sizes %lld and %lld in dimension %d; counted from the last "
                      "dimension, sizes must be equal or one of them 1",
                      op, gpt_tensor_shape_text(a, a_text), gpt_tensor_shape_text(b, b_text), (long long)size_a,
                      (long long)size_b, d - *ndim);
    shape[d] = size_a == 1 ? size_b : size_a;
  }
  return true;
}
