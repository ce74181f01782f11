#include "core/ops/cumsum.h"

#include <string.h>

#include "core/base/parallel.h"
#include "core/ops/axis.h"
#include "core/tensor/graph.h"

typedef struct Running {
  const void *x; /* [outer, n, inner] */
  void *y;
  GptAxis axis;
  bool integers, backwards;
} Running;

/* Where row k of the order lies: the last first where it goes backwards. */
static int64_t running_row(const Running *r, int64_t outer, int64_t k) {
  return (outer * r->axis.n + (r->backwards ? r->axis.n - 1 - k : k)) * r->axis.inner;
}

static void run_floats(const Running *r, GptColumns c) {
  double sums[GPT_COLUMNS] = {0};
  for (int64_t k = 0; k < r->axis.n; k++) {
    int64_t at = running_row(r, c.outer, k) + c.first;
    for (int64_t j = 0; j < c.width; j++) {
      sums[j] += (double)((const float *)r->x)[at + j];
      ((float *)r->y)[at + j] = (float)sums[j];
    }
  }
}

static void run_integers(const Running *r, GptColumns c) {
  uint64_t sums[GPT_COLUMNS] = {0}; /* wrap around, as PyTorch's do */
  for (int64_t k = 0; k < r->axis.n; k++) {
    int64_t at = running_row(r, c.outer, k) + c.first;
    for (int64_t j = 0; j < c.width; j++) ((uint64_t *)r->y)[at + j] = sums[j] += ((const uint64_t *)r->x)[at + j];
  }
}

static void running_items(void *context, int64_t first, int64_t last) {
  const Running *r = context;
  for (int64_t item = first; item < last; item++)
    (r->integers ? run_integers : run_floats)(r, gpt_column_item(r->axis, item));
}

static GptTensor *running_sums(GptEnv *env, GptTensor *x, int dim, bool backwards) {
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x), *y = gpt_tensor_like(env, contiguous);
  if (y != NULL) {
    Running r = {gpt_tensor_data(contiguous), gpt_tensor_data(y), gpt_tensor_axis(x, dim),
                 x->storage->dtype == GPT_I64, backwards};
    gpt_parallel_for(gpt_column_items(r.axis), gpt_grain(gpt_column_cost(r.axis)), running_items, &r);
  }
  return gpt_tensor_then(contiguous, y);
}

/* An element is in its own sum and in all behind it; integers: dim */
static bool cumsum_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, running_sums(env, grad, (int)node->integers[0], true));
}

static const GptOp cumsum_op = {"cumsum", cumsum_backward};

GptTensor *gpt_cumsum(GptEnv *env, GptTensor *x, int dim) {
  if (!gpt_tensor_check_plain(env, "cumsum", x)) return NULL;
  GptTensor *y = running_sums(env, x, dim, false);
  return gpt_graph_add(env, y, (GptOpCall){.op = &cumsum_op, GPT_INPUTS(x), .integers = {dim}});
}
