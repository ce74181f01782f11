#include "core/ops/embedding.h"

#include <string.h>

#include "core/record.h"

static bool check_ids(GptEnv *env, const GptTensor *ids, int64_t n) {
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

/* dst += or = src along a row with strides */
static void copy_row(float *dst, const float *src, int64_t src_stride, int64_t dim) {
  if (src_stride == 1) memcpy(dst, src, (size_t)dim * sizeof *dst);
  else
    for (int64_t j = 0; j < dim; j++) dst[j] = src[j * src_stride];
}

/* inputs: weight; saves: ids, weight */
static bool embedding_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *ids = gpt_node_saved(node, 0), *weight = gpt_node_saved(node, 1);
  GptTensor *dy = gpt_tensor_packed(env, grad);
  GptTensor *dw = dy != NULL ? gpt_tensor_zeros(env, GPT_F32, 2, weight->shape) : NULL;
  int64_t dim = weight->shape[1], count = dw != NULL ? gpt_tensor_numel(ids) : 0;
  for (int64_t i = 0; i < count; i++) {
    float *to = gpt_floats(dw) + gpt_integers(ids)[i] * dim;
    const float *from = gpt_floats(dy) + i * dim;
    for (int64_t j = 0; j < dim; j++) to[j] += from[j];
  }
  gpt_tensor_release(dy);
  return gpt_node_give(env, node, 0, dw);
}

static const GptOp embedding_op = {"embedding", embedding_backward};

static GptTensor *look_up(GptEnv *env, const GptTensor *ids, const GptTensor *weight) {
  int64_t shape[GPT_MAX_DIMS], dim = weight->shape[1];
  if (ids->ndim + 1 > GPT_MAX_DIMS)
    return gpt_fail_null(env, "embedding: ids have too many dimensions (%d)", ids->ndim);
  memcpy(shape, ids->shape, sizeof shape);
  shape[ids->ndim] = dim;
  GptTensor *y = gpt_tensor_new(env, GPT_F32, ids->ndim + 1, shape);
  int64_t count = y != NULL ? gpt_tensor_numel(ids) : 0;
  for (int64_t i = 0; i < count; i++)
    copy_row(gpt_floats(y) + i * dim, gpt_floats(weight) + gpt_integers(ids)[i] * weight->stride[0], weight->stride[1],
             dim);
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
  GptTensor *packed = gpt_tensor_packed(env, ids), *y = NULL;
  if (packed != NULL && check_ids(env, packed, weight->shape[0])) y = look_up(env, packed, weight);
  y = gpt_record(env, y, (GptRecord){.op = &embedding_op, GPT_INPUTS(weight), GPT_SAVES(packed, weight)});
  gpt_tensor_release(packed);
  return y;
}
