#include "core/ops/axis.h"

GptAxis gpt_axis_range(int ndim, const int64_t *shape, int first, int last) {
  GptAxis axis = {1, 1, 1};
  for (int d = 0; d < ndim; d++) *(d < first ? &axis.outer : d < last ? &axis.n : &axis.inner) *= shape[d];
  return axis;
}

GptAxis gpt_axis(int ndim, const int64_t *shape, int dim) {
  bool all = dim == GPT_ALL_DIMS;
  return gpt_axis_range(ndim, shape, all ? 0 : dim, all ? ndim : dim + 1);
}

GptAxis gpt_tensor_axis(const GptTensor *x, int dim) { return gpt_axis(x->ndim, x->shape, dim); }

static int64_t column_blocks(GptAxis axis) { return (axis.inner + GPT_COLUMNS - 1) / GPT_COLUMNS; }

int64_t gpt_column_items(GptAxis axis) { return axis.outer * column_blocks(axis); }

GptColumns gpt_column_item(GptAxis axis, int64_t item) {
  int64_t blocks = column_blocks(axis), first = item % blocks * GPT_COLUMNS, left = axis.inner - first;
  return (GptColumns){item / blocks, first, left < GPT_COLUMNS ? left : GPT_COLUMNS};
}

int64_t gpt_column_cost(GptAxis axis) { return axis.n * (axis.inner < GPT_COLUMNS ? axis.inner : GPT_COLUMNS); }

GptTensor *gpt_dim_moved(GptEnv *env, const GptTensor *x, int from, int to) {
  if (x == NULL) return NULL;
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  for (int d = 0, source = 0; d < x->ndim; d++) {
    if (source == from) source++;
    int taken = d == to ? from : source++;
    shape[d] = x->shape[taken];
    stride[d] = x->stride[taken];
  }
  return gpt_tensor_view(env, x, x->ndim, shape, stride, x->offset);
}

GptTensor *gpt_rows_along(GptEnv *env, GptTensor *x, int dim) {
  if (x == NULL || dim == x->ndim - 1 || x->ndim == 0) return gpt_tensor_as_contiguous(env, x);
  GptTensor *view = gpt_dim_moved(env, x, dim, x->ndim - 1);
  return gpt_tensor_then(view, gpt_tensor_as_contiguous(env, view));
}
