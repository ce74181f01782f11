#include "core/ops/embedding.h"

#include <string.h>

#include "core/kernels/kernels.h"
#include "core/base/parallel.h"
#include "core/tensor/graph.h"

#define BLOCK 64            /* columns of an item */
#define CLEAR_GRAIN 1048576 /* elements */

static bool check_embedding_ids(GptEnv *env, const GptTensor *ids, int64_t n) {
  const int64_t *id = gpt_integers(ids);
  int64_t count = gpt_tensor_numel(ids), row = ids->ndim > 0 ? ids->shape[ids->ndim - 1] : 1;
  for (int64_t i = 0; i < count; i++) {
    if (id[i] >= 0 && id[i] < n) continue;
    if (count > row)
      return gpt_fail(env, "id %lld at position %lld of row %lld is out of the vocabulary: ids are 0 .. %lld",
                      (long long)id[i], (long long)(i % row + 1), (long long)(i / row + 1), (long long)n - 1);
    return gpt_fail(env, "id %lld at position %lld is out of the vocabulary: ids are 0 .. %lld", (long long)id[i],
                    (long long)i + 1, (long long)n - 1);
  }
  return true;
}

/* row = row `id` of a weight [n, dim] of any dtype, as floats */
static void read_row(float *row, const GptTensor *weight, int64_t id) {
  const GptDtypeRow *dtype = gpt_dtype(weight->storage->dtype);
  int64_t dim = weight->shape[1], stride = weight->stride[1];
  const char *from =
      (const char *)gpt_tensor_data(weight) + gpt_dtype_bytes(weight->storage->dtype, id * weight->stride[0]);
  if (stride == 1) dtype->to_floats(row, from, dim);
  else
    for (int64_t j = 0; j < dim; j++) dtype->to_floats(row + j, from + j * stride * (int64_t)dtype->bytes, 1);
}

/* Rows of a gradient added to the rows of a table: threads share the columns, so that rows that meet are added in their
   order. */
typedef struct Scatter {
  float *table;       /* [vocabulary, dim] */
  const float *rows;  /* [count, dim] */
  const int64_t *ids; /* [count] */
  int64_t count, dim;
} Scatter;

static void add_columns(void *context, int64_t first, int64_t last) {
  const Scatter *s = context;
  int64_t begin = first * BLOCK, end = last * BLOCK < s->dim ? last * BLOCK : s->dim;
  for (int64_t i = 0; i < s->count; i++) {
    float *to = s->table + s->ids[i] * s->dim + begin;
    gpt_kernels()->add(to, to, s->rows + i * s->dim + begin, end - begin);
  }
}

static void clear_range(void *context, int64_t first, int64_t last) {
  memset((float *)context + first, 0, (size_t)(last - first) * sizeof(float));
}

static GptTensor *new_table(GptEnv *env, const GptTensor *weight) {
  GptTensor *table = gpt_tensor_new(env, GPT_F32, 2, weight->shape);
  if (table != NULL) gpt_parallel_for(gpt_tensor_numel(table), CLEAR_GRAIN, clear_range, gpt_floats(table));
  return table;
}

/* inputs: weight; saves: ids, weight */
static bool embedding_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *ids = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1),
            *accumulated = gpt_node_accumulated(node, 0);
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  GptTensor *dw = dy == NULL ? NULL : accumulated != NULL ? gpt_tensor_retain(accumulated) : new_table(env, weight);
  if (dw != NULL) {
    Scatter s = {gpt_floats(dw), gpt_floats(dy), gpt_integers(ids), gpt_tensor_numel(ids), weight->shape[1]};
    int64_t blocks = (s.dim + BLOCK - 1) / BLOCK;
    gpt_parallel_for(blocks, gpt_grain(2 * BLOCK * s.count), add_columns, &s);
  }
  gpt_tensor_release(dy);
  if (accumulated == NULL || dw == NULL) return gpt_node_give(env, node, 0, dw);
  gpt_tensor_written(dw);
  gpt_tensor_release(dw);
  return true;
}

static const GptOp embedding_op = {"embedding", embedding_backward};

typedef struct Lookup {
  float *rows;             /* [count, dim] */
  const int64_t *ids;      /* [count] */
  const GptTensor *weight; /* [vocabulary, dim], any strides */
} Lookup;

static void copy_rows(void *context, int64_t first, int64_t last) {
  const Lookup *l = context;
  for (int64_t i = first; i < last; i++) read_row(l->rows + i * l->weight->shape[1], l->weight, l->ids[i]);
}

static GptTensor *look_up(GptEnv *env, const GptTensor *ids, const GptTensor *weight) {
  int64_t shape[GPT_MAX_DIMS], dim = weight->shape[1];
  if (ids->ndim + 1 > GPT_MAX_DIMS)
    return gpt_fail_null(env, "embedding: ids have too many dimensions (%d)", ids->ndim);
  memcpy(shape, ids->shape, sizeof shape);
  shape[ids->ndim] = dim;
  GptTensor *y = gpt_tensor_new(env, GPT_F32, ids->ndim + 1, shape);
  if (y == NULL) return NULL;
  Lookup lookup = {gpt_floats(y), gpt_integers(ids), weight};
  gpt_parallel_for(gpt_tensor_numel(ids), gpt_grain(2 * dim), copy_rows, &lookup);
  return y;
}

GptTensor *gpt_embedding(GptEnv *env, GptTensor *ids, GptTensor *weight) {
  char text[GPT_SHAPE_TEXT];
  if (ids->storage->dtype != GPT_I64)
    return gpt_fail_null(env, "embedding: ids must be integers (i64), got a tensor of %s",
                         gpt_dtype_name(ids->storage->dtype));
  if (weight->ndim != 2)
    return gpt_fail_null(env, "embedding: a weight of shape [n, dim] expected, got %s",
                         gpt_tensor_shape_text(weight, text));
  if (weight->storage->dtype == GPT_I64 && !gpt_tensor_check_floats(env, "embedding: weight", weight)) return NULL;
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, ids), *y = NULL;
  if (contiguous != NULL && check_embedding_ids(env, contiguous, weight->shape[0]))
    y = look_up(env, contiguous, weight);
  y = gpt_graph_add(env, y, (GptOpCall){.op = &embedding_op, GPT_INPUTS(weight), GPT_SAVES(contiguous, weight)});
  gpt_tensor_release(contiguous);
  return y;
}
