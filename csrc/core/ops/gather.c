#include "core/ops/gather.h"

#include <string.h>

#include "core/base/parallel.h"
#include "core/ops/axis.h"
#include "core/ops/iterate.h"
#include "core/ops/shape.h"
#include "core/tensor/graph.h"

/* Is each size of the inner shape at most the outer one's, but at dim `open` (-1: at all)? */
static bool fits_into(const GptTensor *inner, const GptTensor *outer, int open) {
  if (inner->ndim != outer->ndim) return false;
  for (int d = 0; d < inner->ndim; d++)
    if (d != open && inner->shape[d] > outer->shape[d]) return false;
  return true;
}

static bool check_positions_fit(GptEnv *env, const char *name, const GptTensor *positions, const GptTensor *x,
                                int dim) {
  char of_positions[GPT_SHAPE_TEXT], of_x[GPT_SHAPE_TEXT];
  if (fits_into(positions, x, dim)) return true;
  return gpt_fail(env,
                  "%s: positions of shape %s do not fit a tensor of shape %s: as many dims expected, and in each but "
                  "dim %d no larger size",
                  name, gpt_tensor_shape_text(positions, of_positions), gpt_tensor_shape_text(x, of_x), dim + 1);
}

static bool check_source(GptEnv *env, const GptTensor *positions, const GptTensor *source) {
  char of_positions[GPT_SHAPE_TEXT], of_source[GPT_SHAPE_TEXT];
  if (fits_into(positions, source, -1)) return true;
  return gpt_fail(env,
                  "scatter_add: positions of shape %s do not fit a source of shape %s: as many dims expected, and in "
                  "none a larger size",
                  gpt_tensor_shape_text(positions, of_positions), gpt_tensor_shape_text(source, of_source));
}

/* A view of x cut down to the sizes of `small`, but at dim `open`; recorded. */
static GptTensor *cut_down(GptEnv *env, GptTensor *x, const GptTensor *small, int open) {
  GptTensor *y = gpt_tensor_retain(x);
  for (int d = 0; y != NULL && d < small->ndim; d++)
    if (d != open && y->shape[d] > small->shape[d])
      y = gpt_tensor_then(y, gpt_narrow(env, y, d, 0, small->shape[d]));
  return y;
}

/* gather: the gradient is added where it came from; integers: dim, size there; saved: positions */

typedef struct Picking {
  int64_t stride; /* from one position to the next, in elements */
  bool integers;
} Picking;

/* y, positions, and x at position 0 */
static void picking_run(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  const Picking *picking = context;
  const int64_t *position = data[1];
  for (int64_t i = 0; i < n; i++) {
    int64_t from = i * stride[2] + position[i * stride[1]] * picking->stride;
    if (picking->integers) ((int64_t *)data[0])[i * stride[0]] = ((const int64_t *)data[2])[from];
    else ((float *)data[0])[i * stride[0]] = ((const float *)data[2])[from];
  }
}

static bool gather_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0,
                       gpt_scatter(env, grad, gpt_node_saved(node, 0), (int)node->integers[0], node->integers[1]));
}

static const GptOp gather_op = {"gather", gather_backward};

/* x has the positions' sizes in all other dimensions. */
static GptTensor *pick_elements(GptEnv *env, GptTensor *x, int dim, GptTensor *positions) {
  int64_t stride[GPT_MAX_DIMS];
  Picking picking = {x->stride[dim], x->storage->dtype == GPT_I64};
  memcpy(stride, x->stride, sizeof stride);
  stride[dim] = 0;
  GptTensor *at_first = gpt_tensor_view(env, x, x->ndim, positions->shape, stride, x->offset);
  GptTensor *y = at_first != NULL ? gpt_tensor_new(env, x->storage->dtype, x->ndim, positions->shape) : NULL;
  if (y != NULL) gpt_each(3, (GptTensor *[]){y, positions, at_first}, picking_run, &picking);
  gpt_tensor_release(at_first);
  return gpt_graph_add(
      env, y, (GptOpCall){.op = &gather_op, GPT_INPUTS(x), GPT_SAVES(positions), .integers = {dim, x->shape[dim]}});
}

GptTensor *gpt_gather(GptEnv *env, GptTensor *x, int dim, GptTensor *positions) {
  if (!gpt_tensor_check_plain(env, "gather", x) || !check_positions_fit(env, "gather", positions, x, dim)) return NULL;
  GptTensor *cut = cut_down(env, x, positions, dim);
  return gpt_tensor_then(cut, cut != NULL ? pick_elements(env, cut, dim, positions) : NULL);
}

/* scatter_add: the gradient as it is, and gathered; integers: dim; saved: positions */

/* No two items (gpt_column_item) add to the same element. */
typedef struct Adding {
  void *y;            /* [outer, size, inner] */
  const void *source; /* [outer, n, inner], as are the positions */
  const int64_t *position;
  GptAxis axis; /* of the source */
  int64_t size;
  bool integers;
} Adding;

static void add_lane_columns(const Adding *a, GptColumns c) {
  for (int64_t k = 0; k < a->axis.n; k++) {
    int64_t row = (c.outer * a->axis.n + k) * a->axis.inner;
    for (int64_t i = c.first; i < c.first + c.width; i++) {
      int64_t to = (c.outer * a->size + a->position[row + i]) * a->axis.inner + i;
      if (a->integers) ((uint64_t *)a->y)[to] += ((const uint64_t *)a->source)[row + i]; /* wraps around */
      else ((float *)a->y)[to] += ((const float *)a->source)[row + i];
    }
  }
}

static void add_items(void *context, int64_t first, int64_t last) {
  const Adding *a = context;
  for (int64_t item = first; item < last; item++) add_lane_columns(a, gpt_column_item(a->axis, item));
}

/* All contiguous; y has the positions' sizes in all other dimensions. */
static void add_at_positions(GptTensor *y, const GptTensor *positions, const GptTensor *source, int dim) {
  Adding a = {gpt_tensor_data(y), gpt_tensor_data(source), gpt_integers(positions), gpt_tensor_axis(positions, dim),
              y->shape[dim], y->storage->dtype == GPT_I64};
  gpt_parallel_for(gpt_column_items(a.axis), gpt_grain(4 * gpt_column_cost(a.axis)), add_items, &a);
}

GptTensor *gpt_scatter(GptEnv *env, GptTensor *grad, const GptTensor *positions, int dim, int64_t size) {
  int64_t shape[GPT_MAX_DIMS];
  memcpy(shape, grad->shape, sizeof shape);
  shape[dim] = size;
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, grad);
  GptTensor *y = contiguous != NULL ? gpt_tensor_zeros(env, GPT_F32, grad->ndim, shape) : NULL;
  if (y != NULL) add_at_positions(y, positions, contiguous, dim);
  return gpt_tensor_then(contiguous, y);
}

/* y, a fresh copy of x, is larger than the positions somewhere: adds to what they reach of it. False without memory. */
static bool add_to_part(GptEnv *env, GptTensor *y, const GptTensor *positions, const GptTensor *source, int dim) {
  GptTensor *part = cut_down(env, y, positions, dim);
  GptTensor *whole = part != NULL ? gpt_tensor_as_contiguous(env, part) : NULL;
  if (whole != NULL) add_at_positions(whole, positions, source, dim);
  if (whole != NULL && whole != part) gpt_copy_elements(part, whole);
  bool done = whole != NULL;
  gpt_tensor_release(whole);
  gpt_tensor_release(part);
  return done;
}

static bool scatter_add_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  if (gpt_node_wants(node, 0) && !gpt_node_give(env, node, 0, gpt_tensor_retain(grad))) return false;
  if (!gpt_node_wants(node, 1)) return true;
  return gpt_node_give(env, node, 1, gpt_gather(env, grad, (int)node->integers[0], gpt_node_saved(node, 0)));
}

static const GptOp scatter_add_op = {"scatter_add", scatter_add_backward};

/* Of one dtype; source has the positions' shape. */
static GptTensor *add_scattered(GptEnv *env, GptTensor *x, int dim, GptTensor *positions, GptTensor *source) {
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, source);
  GptTensor *y = contiguous != NULL ? gpt_tensor_copy(env, x) : NULL;
  y = gpt_tensor_if(y != NULL && add_to_part(env, y, positions, contiguous, dim), y);
  gpt_tensor_release(contiguous);
  return gpt_graph_add(
      env, y, (GptOpCall){.op = &scatter_add_op, GPT_INPUTS(x, source), GPT_SAVES(positions), .integers = {dim}});
}

static GptTensor *scatter_cut(GptEnv *env, GptTensor *x, int dim, GptTensor *positions, GptTensor *source) {
  GptTensor *cut = cut_down(env, source, positions, -1);
  return gpt_tensor_then(cut, cut != NULL ? add_scattered(env, x, dim, positions, cut) : NULL);
}

GptTensor *gpt_scatter_add(GptEnv *env, GptTensor *x, int dim, GptTensor *positions, GptTensor *source) {
  if (!check_positions_fit(env, "scatter_add", positions, x, dim) || !check_source(env, positions, source)) return NULL;
  if (x->storage->dtype == GPT_I64 && source->storage->dtype == GPT_I64)
    return scatter_cut(env, x, dim, positions, source);
  GptTensor *a = gpt_tensor_as_floats(env, "scatter_add", x);
  GptTensor *b = gpt_tensor_as_floats(env, "scatter_add: source", source);
  GptTensor *y = a != NULL && b != NULL ? scatter_cut(env, a, dim, positions, b) : NULL;
  gpt_tensor_release(a);
  gpt_tensor_release(b);
  return y;
}
