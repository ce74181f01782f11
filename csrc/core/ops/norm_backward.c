#include "core/ops/norm_backward.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/ops/column_sums.h"

#define CHUNK_ROWS 32

typedef struct Chunks {
  GptNormBack back;
  GptNormRow row;
  float *sums; /* [chunks, vectors, n], or NULL */
  int64_t count, vectors;
} Chunks;

static void go_back_chunks(void *context, int64_t first, int64_t last) {
  const Chunks *c = context;
  int64_t width = c->vectors * c->back.n, rows = c->back.rows;
  for (int64_t chunk = first; chunk < last; chunk++) {
    float *sums = c->sums != NULL ? c->sums + chunk * width : NULL;
    int64_t end = (chunk + 1) * CHUNK_ROWS < rows ? (chunk + 1) * CHUNK_ROWS : rows;
    if (sums != NULL) memset(sums, 0, (size_t)width * sizeof *sums);
    for (int64_t i = chunk * CHUNK_ROWS; i < end; i++) c->row(&c->back, i, sums);
  }
}

static bool give_vectors(GptEnv *env, GptNode *node, const Chunks *c) {
  bool done = true;
  for (int i = 0; i < (int)c->vectors && done; i++) {
    GptMatrix rows = {c->sums + i * c->back.n, c->count, c->back.n, c->vectors * c->back.n, 1};
    done = !gpt_node_wants(node, 1 + i) || gpt_give_column_sums(env, node, 1 + i, rows);
  }
  return done;
}

static bool norm_back(GptEnv *env, GptNode *node, const GptTensor *dy, GptTensor *dx, int vectors, GptNormRow row) {
  const GptTensor *x = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1);
  int64_t n = x->shape[x->ndim - 1], rows = gpt_tensor_numel(x) / n;
  Chunks c = {.row = row, .count = (rows + CHUNK_ROWS - 1) / CHUNK_ROWS, .vectors = vectors};
  c.back = (GptNormBack){.dx = gpt_floats(dx), .dy = gpt_floats(dy), .x = gpt_floats(x),
                         .weight = weight != NULL ? gpt_floats(weight) : NULL,
                         .stats = gpt_floats(gpt_node_saved(node, 2)), .rows = rows, .n = n,
                         .number = node->numbers[0]};
  if (vectors > 0 && (c.sums = gpt_alloc_array(env, c.count * vectors * n, sizeof *c.sums)) == NULL) return false;
  gpt_parallel_for(c.count, gpt_grain(2 * n * CHUNK_ROWS), go_back_chunks, &c);
  bool done = give_vectors(env, node, &c);
  gpt_free(env, c.sums);
  return done;
}

bool gpt_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad, int vectors, GptNormRow row) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  GptTensor *dx = gpt_tensor_like(env, gpt_node_saved(node, 0));
  bool done = dy != NULL && dx != NULL && norm_back(env, node, dy, dx, vectors, row);
  gpt_tensor_release(dy);
  if (done && gpt_node_wants(node, 0)) return gpt_node_give(env, node, 0, dx);
  gpt_tensor_release(dx);
  return done;
}
