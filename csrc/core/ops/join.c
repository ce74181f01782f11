/* cat and stack. */
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/create.h"
#include "core/ops/shape.h"
#include "core/tensor/graph.h"

/* cat: each part's slice of the gradient; integers: dim; saved: the parts' sizes there */

static bool cat_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  const int64_t *sizes = gpt_integers(gpt_node_saved(node, 0));
  int64_t first = 0;
  for (int i = 0; i < node->n_inputs; i++) {
    if (gpt_node_wants(node, i) &&
        !gpt_node_give(env, node, i, gpt_narrow(env, grad, (int)node->integers[0], first, sizes[i])))
      return false;
    first += sizes[i];
  }
  return true;
}

static const GptOp cat_op = {"cat", cat_backward};

/* The shape of the whole, and the parts' sizes along dim. */
static bool cat_shape(GptEnv *env, int count, GptTensor *const *list, int dim, int64_t *shape, int64_t *sizes) {
  char first[GPT_SHAPE_TEXT], other[GPT_SHAPE_TEXT];
  if (list[0]->ndim == 0) return gpt_fail(env, "cat: tensors without dimensions cannot be joined; stack them");
  memcpy(shape, list[0]->shape, sizeof list[0]->shape);
  shape[dim] = 0;
  for (int i = 0; i < count; i++) {
    bool fits = list[i]->ndim == list[0]->ndim;
    for (int d = 0; fits && d < list[0]->ndim; d++) fits = d == dim || list[i]->shape[d] == shape[d];
    if (!fits)
      return gpt_fail(env,
                      "cat: tensor 1 has shape %s, tensor %d has %s: they must agree everywhere but in dimension %d",
                      gpt_tensor_shape_text(list[0], first), i + 1, gpt_tensor_shape_text(list[i], other), dim + 1);
    sizes[i] = list[i]->shape[dim];
    shape[dim] += sizes[i];
  }
  return true;
}

/* f32 where any part is, else i64. */
static GptDtype common_dtype(int count, GptTensor *const *list) {
  for (int i = 0; i < count; i++)
    if (list[i]->storage->dtype != GPT_I64) return list[i]->storage->dtype;
  return GPT_I64;
}

static bool copy_part(GptEnv *env, GptTensor *y, GptTensor *part, int dim, int64_t first) {
  GptTensor *source = part->storage->dtype == y->storage->dtype ? gpt_tensor_retain(part)
                                                                : gpt_tensor_convert(env, part, y->storage->dtype);
  GptTensor *slice = gpt_narrow(env, y, dim, first, part->shape[dim]);
  bool done = source != NULL && slice != NULL;
  if (done) gpt_copy_elements(slice, source);
  gpt_tensor_release(slice);
  gpt_tensor_release(source);
  return done;
}

static bool check_computable(GptEnv *env, int count, GptTensor *const *list) {
  for (int i = 0; i < count; i++)
    if (!gpt_tensor_check_plain(env, "cat", list[i])) return false;
  return true;
}

static GptTensor *join(GptEnv *env, int count, GptTensor *const *list, int dim, GptTensor *sizes) {
  int64_t shape[GPT_MAX_DIMS], first = 0;
  if (!check_computable(env, count, list) || !cat_shape(env, count, list, dim, shape, gpt_integers(sizes))) return NULL;
  GptTensor *y = gpt_tensor_new(env, common_dtype(count, list), list[0]->ndim, shape);
  for (int i = 0; y != NULL && i < count; i++) {
    y = gpt_tensor_if(copy_part(env, y, list[i], dim, first), y);
    first += gpt_integers(sizes)[i];
  }
  return y;
}

GptTensor *gpt_cat(GptEnv *env, int count, GptTensor *const *list, int dim) {
  GptTensor *sizes = gpt_tensor_new(env, GPT_I64, 1, &(int64_t){count});
  if (sizes == NULL) return NULL;
  GptTensor *y = join(env, count, list, dim, sizes);
  y = gpt_graph_add(env, y,
                 (GptOpCall){.op = &cat_op, .inputs = list, .n_inputs = count, GPT_SAVES(sizes), .integers = {dim}});
  gpt_tensor_release(sizes);
  return y;
}

/* stack: cat of the tensors with the new dim */

static bool check_stack(GptEnv *env, int count, GptTensor *const *list) {
  char first[GPT_SHAPE_TEXT], other[GPT_SHAPE_TEXT];
  for (int i = 1; i < count; i++)
    if (!gpt_same_shape(list[0], list[i]))
      return gpt_fail(env, "stack: tensor 1 has shape %s, tensor %d has %s: they must be equal",
                      gpt_tensor_shape_text(list[0], first), i + 1, gpt_tensor_shape_text(list[i], other));
  return true;
}

GptTensor *gpt_stack(GptEnv *env, int count, GptTensor *const *list, int dim) {
  if (!check_stack(env, count, list)) return NULL;
  GptTensor **views = gpt_alloc_array_zeroed(env, count, sizeof *views);
  if (views == NULL) return NULL;
  bool done = true;
  for (int i = 0; i < count && done; i++) {
    views[i] = gpt_unsqueeze(env, list[i], dim);
    done = views[i] != NULL;
  }
  GptTensor *y = done ? gpt_cat(env, count, views, dim) : NULL;
  for (int i = 0; i < count; i++) gpt_tensor_release(views[i]);
  gpt_free(env, views);
  return y;
}
