#include "core/ops/sum_to.h"

/* to[...] += from[...] over one shape; a stride of 0 in to gathers a sum. */
static void add_strided(float *to, const int64_t *to_stride, const float *from, const int64_t *from_stride, const int64_t *shape, int ndim) {
  if (ndim == 0) {
    *to += *from;
    return;
  }
  if (ndim == 1 && to_stride[0] == 0) {
    double sum = 0;
    for (int64_t i = 0; i < shape[0]; i++) sum += (double)from[i * from_stride[0]];
    *to += (float)sum;
    return;
  }
  if (ndim == 1) {
    for (int64_t i = 0; i < shape[0]; i++) to[i * to_stride[0]] += from[i * from_stride[0]];
    return;
  }
  for (int64_t i = 0; i < shape[0]; i++)
    add_strided(to + i * to_stride[0], to_stride + 1, from + i * from_stride[0], from_stride + 1, shape + 1, ndim - 1);
}

GptTensor *gpt_sum_to(GptEnv *env, const GptTensor *x, int ndim, const int64_t *shape) {
  int64_t stride[GPT_MAX_DIMS];
  GptTensor *y = gpt_tensor_zeros(env, GPT_F32, ndim, shape);
  if (y == NULL || gpt_tensor_numel(x) == 0) return y;
  for (int d = 0; d < x->ndim; d++) {
    int own = d - (x->ndim - ndim);
    stride[d] = own >= 0 && shape[own] == x->shape[d] ? y->stride[own] : 0;
  }
  add_strided(gpt_floats(y), stride, gpt_floats(x), x->stride, x->shape, x->ndim);
  return y;
}
