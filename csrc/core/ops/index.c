#include "core/ops/index.h"

#include <string.h>

#include "core/ops/axis.h"
#include "core/ops/iterate.h"
#include "core/ops/shape.h"
#include "core/tensor/graph.h"

/* index: every slice's gradient is added where the slice came from; integers: dim, size there; saved: positions */

static void add_slices(float *dx, const float *dy, const int64_t *position, GptAxis axis, int64_t count) {
  for (int64_t o = 0; o < axis.outer; o++)
    for (int64_t p = 0; p < count; p++, dy += axis.inner) {
      float *to = dx + (o * axis.n + position[p]) * axis.inner;
      for (int64_t i = 0; i < axis.inner; i++) to[i] += dy[i];
    }
}

static bool index_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  const GptTensor *positions = gpt_node_saved(node, 0);
  int dim = (int)node->integers[0], gone = positions->ndim - 1;
  int64_t shape[GPT_MAX_DIMS], count = gpt_tensor_numel(positions);
  for (int d = 0; d < grad->ndim - gone; d++)
    shape[d] = d < dim ? grad->shape[d] : d == dim ? node->integers[1] : grad->shape[d + gone];
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  GptTensor *dx = dy != NULL ? gpt_tensor_zeros(env, GPT_F32, grad->ndim - gone, shape) : NULL;
  if (dx != NULL) add_slices(gpt_floats(dx), gpt_floats(dy), gpt_integers(positions), gpt_tensor_axis(dx, dim), count);
  gpt_tensor_release(dy);
  return gpt_node_give(env, node, 0, dx);
}

static const GptOp index_op = {"index", index_backward};

static void copy_slices(GptTensor *y, const GptTensor *x, const int64_t *position, GptAxis axis, int64_t count) {
  size_t size = (size_t)axis.inner * gpt_dtype(x->storage->dtype)->bytes;
  char *to = y->storage->data;
  const char *from = gpt_tensor_data(x);
  for (int64_t o = 0; o < axis.outer; o++)
    for (int64_t p = 0; p < count; p++, to += size) memcpy(to, from + (size_t)(o * axis.n + position[p]) * size, size);
}

GptTensor *gpt_index(GptEnv *env, GptTensor *x, int dim, GptTensor *positions) {
  int64_t shape[GPT_MAX_DIMS];
  int ndim = x->ndim - 1 + positions->ndim;
  if (!gpt_tensor_check_plain(env, "index", x)) return NULL;
  if (ndim > GPT_MAX_DIMS) return gpt_fail_null(env, "a tensor has at most %d dimensions, got %d", GPT_MAX_DIMS, ndim);
  for (int d = 0; d < ndim; d++) {
    bool inside = d >= dim && d < dim + positions->ndim;
    shape[d] = inside ? positions->shape[d - dim] : x->shape[d < dim ? d : d - positions->ndim + 1];
  }
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x);
  GptTensor *y = contiguous != NULL ? gpt_tensor_new(env, x->storage->dtype, ndim, shape) : NULL;
  if (y != NULL)
    copy_slices(y, contiguous, gpt_integers(positions), gpt_tensor_axis(x, dim), gpt_tensor_numel(positions));
  gpt_tensor_release(contiguous);
  return gpt_graph_add(
      env, y, (GptOpCall){.op = &index_op, GPT_INPUTS(x), GPT_SAVES(positions), .integers = {dim, x->shape[dim]}});
}

/* masked_fill: no gradient where the mask is set */

typedef struct Filling {
  GptNumber value;
  bool integers, integer_mask;
} Filling;

static void fill_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  const Filling *f = context;
  for (int64_t i = 0; i < n; i++) {
    bool set =
        f->integer_mask ? ((const int64_t *)data[1])[i * stride[1]] != 0 : ((const float *)data[1])[i * stride[1]] != 0;
    if (!set) continue;
    if (f->integers) ((int64_t *)data[0])[i * stride[0]] = f->value.integer;
    else ((float *)data[0])[i * stride[0]] = (float)f->value.number;
  }
}

static bool masked_fill_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_masked_fill(env, grad, gpt_node_saved(node, 0), (GptNumber){0, 0}));
}

static const GptOp masked_fill_op = {"masked_fill", masked_fill_backward};

/* Does mask broadcast to x's own shape? */
static bool broadcasts_to(const GptTensor *mask, const GptTensor *x) {
  if (mask->ndim > x->ndim) return false;
  for (int d = 0; d < mask->ndim; d++) {
    int64_t size = mask->shape[d];
    if (size != 1 && size != x->shape[d + x->ndim - mask->ndim]) return false;
  }
  return true;
}

GptTensor *gpt_masked_fill(GptEnv *env, GptTensor *x, GptTensor *mask, GptNumber value) {
  char own[GPT_SHAPE_TEXT], other[GPT_SHAPE_TEXT];
  if (x == NULL || mask == NULL) return NULL;
  if (!broadcasts_to(mask, x))
    return gpt_fail_null(env, "masked_fill: the mask's shape %s cannot be broadcast to the tensor's shape %s",
                         gpt_tensor_shape_text(mask, other), gpt_tensor_shape_text(x, own));
  if (!gpt_tensor_check_plain(env, "masked_fill", x) || !gpt_tensor_check_plain(env, "masked_fill: mask", mask))
    return NULL;
  GptTensor *y = gpt_tensor_copy(env, x);
  Filling filling = {value, x->storage->dtype == GPT_I64, mask->storage->dtype == GPT_I64};
  if (y != NULL) gpt_each(2, (GptTensor *[]){y, mask}, fill_run, &filling);
  return gpt_graph_add(env, y, (GptOpCall){.op = &masked_fill_op, GPT_INPUTS(x), GPT_SAVES(mask)});
}

/* tril and triu: the same triangle of the gradient; integers: diagonal */

/* Sets columns first .. last-1 of each row to 0; upper: those above the diagonal, else those below. */
static void clear_triangle(GptTensor *y, int64_t diagonal, bool upper) {
  int64_t rows = y->shape[y->ndim - 2], columns = y->shape[y->ndim - 1], matrix = rows * columns;
  size_t size = gpt_dtype(y->storage->dtype)->bytes;
  char *data = y->storage->data;
  for (int64_t at = 0; matrix > 0 && at < gpt_tensor_numel(y); at += columns) {
    int64_t row = at % matrix / columns;
    int64_t edge = diagonal > columns ? columns : diagonal < -rows ? 0 : row + diagonal + (upper ? 1 : 0);
    edge = edge < 0 ? 0 : edge > columns ? columns : edge;
    if (upper) memset(data + (size_t)(at + edge) * size, 0, (size_t)(columns - edge) * size);
    else memset(data + (size_t)at * size, 0, (size_t)edge * size);
  }
}

static GptTensor *triangle(GptEnv *env, const GptOp *op, GptTensor *x, int64_t diagonal, bool clear_upper) {
  char text[GPT_SHAPE_TEXT];
  if (x == NULL) return NULL;
  if (x->ndim < 2)
    return gpt_fail_null(env, "%s: a tensor with at least two dimensions expected, got shape %s", op->name,
                         gpt_tensor_shape_text(x, text));
  if (!gpt_tensor_check_plain(env, op->name, x)) return NULL;
  GptTensor *y = gpt_tensor_copy(env, x);
  if (y != NULL) clear_triangle(y, diagonal, clear_upper);
  return gpt_graph_add(env, y, (GptOpCall){.op = op, GPT_INPUTS(x), .integers = {diagonal}});
}

static bool tril_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_tril(env, grad, node->integers[0]));
}

static bool triu_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_triu(env, grad, node->integers[0]));
}

static const GptOp tril_op = {"tril", tril_backward};
static const GptOp triu_op = {"triu", triu_backward};

GptTensor *gpt_tril(GptEnv *env, GptTensor *x, int64_t diagonal) { return triangle(env, &tril_op, x, diagonal, true); }

GptTensor *gpt_triu(GptEnv *env, GptTensor *x, int64_t diagonal) { return triangle(env, &triu_op, x, diagonal, false); }
