#include "core/ops/reduction.h"

#include <string.h>

#include "core/ops/iterate.h"
#include "core/ops/reduce.h"

/* The order of a node's `numbers`; its `integers` are the input's shape. */
enum { NUMBER, DIM, NDIM };

static GptRows as_rows(GptTensor *x, GptAxis axis) { return (GptRows){x, axis.outer * axis.inner, axis.n}; }

bool gpt_rows_of(GptEnv *env, GptTensor *x, int dim, GptRows *rows) {
  GptTensor *moved = dim == GPT_ALL_DIMS ? gpt_tensor_as_contiguous(env, x) : gpt_rows_along(env, x, dim);
  *rows = as_rows(moved, gpt_tensor_axis(x, dim));
  return rows->x != NULL;
}

bool gpt_check_not_empty(GptEnv *env, const char *name, const GptTensor *x, int dim) {
  char text[GPT_SHAPE_TEXT];
  if (gpt_tensor_axis(x, dim).n > 0) return true;
  return gpt_fail(env, "%s: nothing to choose from in a tensor of shape %s", name, gpt_tensor_shape_text(x, text));
}

GptTensor *gpt_reduced_new(GptEnv *env, GptDtype dtype, const GptTensor *x, int dim, bool keepdim) {
  int64_t shape[GPT_MAX_DIMS];
  int ndim = 0;
  for (int d = 0; d < x->ndim; d++) {
    bool reduced = dim == GPT_ALL_DIMS || d == dim;
    if (!reduced || keepdim) shape[ndim++] = reduced ? 1 : x->shape[d];
  }
  return gpt_tensor_new(env, dtype, ndim, shape);
}

GptTensor *gpt_graph_add_reduction(GptEnv *env, const GptOp *op, GptTensor *y, GptTensor *x, int dim,
                                   GptTensor *const saves[2], double number) {
  GptOpCall call = {.op = op, GPT_INPUTS(x), .saves = saves, .n_saves = 2, .numbers = {number, dim, x->ndim}};
  memcpy(call.integers, x->shape, sizeof x->shape);
  return gpt_graph_add(env, y, call);
}

double gpt_reduction_number(const GptNode *node) { return node->numbers[NUMBER]; }

bool gpt_gradient_rows(GptEnv *env, const GptNode *node, GptRows *rows) {
  int dim = (int)node->numbers[DIM], ndim = (int)node->numbers[NDIM], last = 0;
  int64_t shape[GPT_MAX_DIMS] = {0};
  for (int d = 0; d < ndim; d++)
    if (d != dim) shape[last++] = node->integers[d];
  if (dim != GPT_ALL_DIMS) shape[last] = node->integers[dim];
  *rows = as_rows(gpt_tensor_new(env, GPT_F32, ndim, shape), gpt_axis(ndim, node->integers, dim));
  return rows->x != NULL;
}

bool gpt_give_rows(GptEnv *env, GptNode *node, GptRows *rows) {
  int dim = (int)node->numbers[DIM], last = rows->x->ndim - 1;
  if (dim == GPT_ALL_DIMS || dim == last) return gpt_node_give(env, node, 0, rows->x);
  return gpt_node_give(env, node, 0, gpt_tensor_then(rows->x, gpt_dim_moved(env, rows->x, last, dim)));
}

GptTensor *gpt_stretched(GptEnv *env, const GptNode *node, const GptTensor *grad) {
  int dim = (int)node->numbers[DIM], ndim = (int)node->numbers[NDIM];
  int64_t stride[GPT_MAX_DIMS];
  if (grad == NULL) return NULL;
  for (int d = 0; d < ndim; d++) {
    int own = grad->ndim < ndim && d > dim ? d - 1 : d;
    stride[d] = dim == GPT_ALL_DIMS || d == dim ? 0 : grad->stride[own];
  }
  return gpt_tensor_view(env, grad, ndim, node->integers, stride, grad->offset);
}
