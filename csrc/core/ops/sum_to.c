#include "core/ops/sum_to.h"

#include "core/ops/sum.h"

/* x with dimensions first .. last-1 summed to size 1. */
static GptTensor *sum_dims(GptEnv *env, GptTensor *x, int first, int last) {
  int64_t shape[GPT_MAX_DIMS];
  for (int d = 0; d < x->ndim; d++) shape[d] = d >= first && d < last ? 1 : x->shape[d];
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x);
  GptTensor *y = contiguous != NULL ? gpt_tensor_new(env, GPT_F32, x->ndim, shape) : NULL;
  GptAxis axis = gpt_axis_range(x->ndim, x->shape, first, last);
  bool done = y != NULL && gpt_sum_axis(env, gpt_floats(y), gpt_floats(contiguous), axis, 1);
  return gpt_tensor_then(contiguous, gpt_tensor_if(done, y));
}

/* Is dimension d summed on the way to shape? */
static bool is_summed(const GptTensor *x, int ndim, const int64_t *shape, int d) {
  int own = d - (x->ndim - ndim);
  return x->shape[d] != (own < 0 ? 1 : shape[own]);
}

/* x of as many dimensions, or more in front, as shape has; takes over x. */
static GptTensor *drop_front(GptEnv *env, GptTensor *x, int ndim) {
  if (x == NULL || x->ndim == ndim) return x;
  int front = x->ndim - ndim;
  return gpt_tensor_then(x, gpt_tensor_view(env, x, ndim, x->shape + front, x->stride + front, x->offset));
}

GptTensor *gpt_sum_to(GptEnv *env, GptTensor *grad, int ndim, const int64_t *shape) {
  GptTensor *x = gpt_tensor_retain(grad);
  for (int d = 0; x != NULL && d < x->ndim; d++) {
    if (!is_summed(x, ndim, shape, d)) continue;
    int last = d + 1; /* adjacent dimensions are summed in one go */
    while (last < x->ndim && (x->shape[last] == 1 || is_summed(x, ndim, shape, last))) last++;
    x = gpt_tensor_then(x, sum_dims(env, x, d, last));
  }
  return drop_front(env, x, ndim);
}
