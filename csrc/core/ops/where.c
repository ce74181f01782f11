#include "core/ops/where.h"

#include "core/ops/iterate.h"
#include "core/ops/shape.h"
#include "core/tensor/graph.h"

typedef struct Choosing {
  bool integers, integer_condition;
} Choosing;

static inline bool condition_holds(const Choosing *choosing, const void *condition, int64_t at) {
  return choosing->integer_condition ? ((const int64_t *)condition)[at] != 0 : ((const float *)condition)[at] != 0;
}

/* y, condition, a, b */
static void choosing_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  const Choosing *choosing = context;
  for (int64_t i = 0; i < n; i++) {
    int from = condition_holds(choosing, data[1], i * stride[1]) ? 2 : 3;
    if (choosing->integers)
      ((int64_t *)data[0])[i * stride[0]] = ((const int64_t *)data[from])[i * stride[from]];
    else ((float *)data[0])[i * stride[0]] = ((const float *)data[from])[i * stride[from]];
  }
}

/* a and b have y's shape: what stretched them has a node of its own. */
static bool where_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *condition = gpt_node_saved(node, 0), *zero = gpt_tensor_number(env, 0);
  bool done = zero != NULL;
  if (done && gpt_node_wants(node, 0)) done = gpt_node_give(env, node, 0, gpt_where(env, condition, grad, zero));
  if (done && gpt_node_wants(node, 1)) done = gpt_node_give(env, node, 1, gpt_where(env, condition, zero, grad));
  gpt_tensor_release(zero);
  return done;
}

static const GptOp where_op = {"where", where_backward};

/* Of a and b with y's shape and dtype. */
static GptTensor *choose_elements(GptEnv *env, GptTensor *condition, GptTensor *a, GptTensor *b) {
  Choosing choosing = {a->storage->dtype == GPT_I64, condition->storage->dtype == GPT_I64};
  GptTensor *y = gpt_tensor_new(env, a->storage->dtype, a->ndim, a->shape);
  if (y != NULL) gpt_each(4, (GptTensor *[]){y, condition, a, b}, choosing_run, &choosing);
  return gpt_graph_add(env, y, (GptOpCall){.op = &where_op, GPT_INPUTS(a, b), GPT_SAVES(condition)});
}

static GptTensor *stretch_and_choose(GptEnv *env, GptTensor *condition, GptTensor *a, GptTensor *b, int ndim,
                                     const int64_t *shape) {
  GptTensor *wide_a = gpt_expand(env, a, ndim, shape), *wide_b = gpt_expand(env, b, ndim, shape);
  GptTensor *y = wide_a != NULL && wide_b != NULL ? choose_elements(env, condition, wide_a, wide_b) : NULL;
  gpt_tensor_release(wide_a);
  gpt_tensor_release(wide_b);
  return y;
}

/* The shape that all three broadcast to. */
static bool common_shape(GptEnv *env, const GptTensor *condition, const GptTensor *a, const GptTensor *b, int *ndim,
                         int64_t *shape) {
  GptTensor both = {.ndim = 0};
  if (!gpt_broadcast(env, "where", a, b, &both.ndim, both.shape)) return false;
  return gpt_broadcast(env, "where: condition and values", condition, &both, ndim, shape);
}

GptTensor *gpt_where(GptEnv *env, GptTensor *condition, GptTensor *a, GptTensor *b) {
  int ndim;
  int64_t shape[GPT_MAX_DIMS];
  if (condition == NULL || a == NULL || b == NULL) return NULL;
  if (!gpt_tensor_check_plain(env, "where: condition", condition)) return NULL;
  if (!common_shape(env, condition, a, b, &ndim, shape)) return NULL;
  if (a->storage->dtype == GPT_I64 && b->storage->dtype == GPT_I64)
    return stretch_and_choose(env, condition, a, b, ndim, shape);
  GptTensor *x = gpt_tensor_as_floats(env, "where", a), *y = gpt_tensor_as_floats(env, "where", b);
  GptTensor *result = x != NULL && y != NULL ? stretch_and_choose(env, condition, x, y, ndim, shape) : NULL;
  gpt_tensor_release(x);
  gpt_tensor_release(y);
  return result;
}
