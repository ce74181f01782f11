#include "core/ops/shape.h"

#include <string.h>

#include "core/ops/sum_to.h"
#include "core/tensor/graph.h"

/* Notes the input's shape, for the backward of an op that changes it. */
static void note_shape(GptOpCall *call, const GptTensor *x) {
  memcpy(call->integers, x->shape, sizeof call->integers);
  call->numbers[0] = x->ndim;
}

/* view and reshape: the gradient in the input's shape */

static bool reshape_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_reshape(env, grad, (int)node->numbers[0], node->integers));
}

static const GptOp view_op = {"view", reshape_backward};

/* Works out a size of -1; false and a message where the elements do not fit. */
static bool resolve_shape(GptEnv *env, const GptTensor *x, int ndim, const int64_t *wanted, int64_t *shape,
                          const char *what) {
  char from[GPT_SHAPE_TEXT], to[GPT_SHAPE_TEXT];
  int64_t n = gpt_tensor_numel(x), known = 1;
  int open = -1;
  bool fits = true;
  for (int d = 0; d < ndim; d++) {
    shape[d] = wanted[d];
    if (wanted[d] == -1 && open >= 0)
      return gpt_fail(env, "%s: only one size may be -1, got %s", what, gpt_shape_text(ndim, wanted, to));
    if (wanted[d] == -1) open = d;
    else if (wanted[d] < 0 || __builtin_mul_overflow(known, wanted[d], &known)) fits = false;
  }
  if (fits && open >= 0 && known > 0 && n % known == 0) shape[open] = n / known;
  else if (open >= 0 || known != n) fits = false;
  if (fits) return true;
  return gpt_fail(env, "%s: shape %s with %lld elements does not fit into shape %s", what,
                  gpt_tensor_shape_text(x, from), (long long)n, gpt_shape_text(ndim, wanted, to));
}

/* A stretch of memory that several dims run through together: size elements, step apart. */
typedef struct Run {
  int64_t size, step;
} Run;

/* The runs of a tensor, last dim first; returns how many. */
static int find_runs(const GptTensor *x, Run *runs) {
  int count = 0;
  for (int d = x->ndim - 1; d >= 0; d--) {
    if (x->shape[d] == 1) continue;
    if (count > 0 && x->stride[d] == runs[count - 1].size * runs[count - 1].step) runs[count - 1].size *= x->shape[d];
    else runs[count++] = (Run){x->shape[d], x->stride[d]};
  }
  return count;
}

/* Strides that show x in another shape, every run of memory cut into whole dims; false where there are none. */
static bool view_strides(const GptTensor *x, int ndim, const int64_t *shape, int64_t *stride) {
  Run runs[GPT_MAX_DIMS], now = {1, 1};
  int count = find_runs(x, runs), next = 0;
  gpt_contiguous_strides(ndim, shape, stride);
  if (gpt_tensor_numel(x) == 0) return true;
  for (int d = ndim - 1; d >= 0; d--) {
    if (shape[d] == 1) continue;
    if (now.size == 1) now = runs[next++]; /* the element counts agree, so there is one */
    if (now.size % shape[d] != 0) return false;
    stride[d] = now.step;
    now.step *= shape[d];
    now.size /= shape[d];
  }
  return next == count;
}

static GptTensor *add_view(GptEnv *env, GptTensor *x, int ndim, const int64_t *shape, const int64_t *stride) {
  GptOpCall call = {.op = &view_op, GPT_INPUTS(x)};
  note_shape(&call, x);
  return gpt_graph_add(env, gpt_tensor_view(env, x, ndim, shape, stride, x->offset), call);
}

GptTensor *gpt_view(GptEnv *env, GptTensor *x, int ndim, const int64_t *wanted) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  char from[GPT_SHAPE_TEXT], to[GPT_SHAPE_TEXT];
  if (x == NULL || !resolve_shape(env, x, ndim, wanted, shape, "view")) return NULL;
  if (view_strides(x, ndim, shape, stride)) return add_view(env, x, ndim, shape, stride);
  return gpt_fail_null(env,
                       "view: shape %s, with its strides, has no view of shape %s; reshape() copies if needed",
                       gpt_tensor_shape_text(x, from), gpt_shape_text(ndim, shape, to));
}

GptTensor *gpt_reshape(GptEnv *env, GptTensor *x, int ndim, const int64_t *wanted) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  if (x == NULL || !resolve_shape(env, x, ndim, wanted, shape, "reshape")) return NULL;
  if (view_strides(x, ndim, shape, stride)) return add_view(env, x, ndim, shape, stride);
  GptTensor *copy = gpt_clone(env, x);
  return gpt_tensor_then(copy, gpt_view(env, copy, ndim, shape));
}

GptTensor *gpt_unsqueeze(GptEnv *env, GptTensor *x, int dim) {
  int64_t shape[GPT_MAX_DIMS] = {0}, stride[GPT_MAX_DIMS] = {0};
  if (x == NULL) return NULL;
  if (x->ndim == GPT_MAX_DIMS)
    return gpt_fail_null(env, "a tensor has at most %d dimensions, got %d", GPT_MAX_DIMS, x->ndim + 1);
  for (int d = 0; d <= x->ndim; d++) {
    int from = d < dim ? d : d - 1;
    shape[d] = d == dim ? 1 : x->shape[from];
    stride[d] = d == dim ? 1 : x->stride[from];
  }
  return add_view(env, x, x->ndim + 1, shape, stride);
}

GptTensor *gpt_squeeze(GptEnv *env, GptTensor *x, int dim) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  char text[GPT_SHAPE_TEXT];
  if (x == NULL) return NULL;
  if (x->shape[dim] != 1)
    return gpt_fail_null(env, "squeeze: a dim of size 1 expected, dim %d of shape %s has size %lld", dim + 1,
                         gpt_tensor_shape_text(x, text), (long long)x->shape[dim]);
  for (int d = 0; d < x->ndim - 1; d++) {
    shape[d] = x->shape[d < dim ? d : d + 1];
    stride[d] = x->stride[d < dim ? d : d + 1];
  }
  return add_view(env, x, x->ndim - 1, shape, stride);
}

/* permute: the gradient with the dims back in their places */

static bool permute_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  int back[GPT_MAX_DIMS];
  for (int d = 0; d < grad->ndim; d++) back[node->integers[d]] = d;
  return gpt_node_give(env, node, 0, gpt_permute(env, grad, back));
}

static const GptOp permute_op = {"permute", permute_backward};

GptTensor *gpt_permute(GptEnv *env, GptTensor *x, const int *dims) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  GptOpCall call = {.op = &permute_op, GPT_INPUTS(x)};
  if (x == NULL) return NULL;
  for (int d = 0; d < x->ndim; d++) {
    shape[d] = x->shape[dims[d]];
    stride[d] = x->stride[dims[d]];
    call.integers[d] = dims[d];
  }
  return gpt_graph_add(env, gpt_tensor_view(env, x, x->ndim, shape, stride, x->offset), call);
}

GptTensor *gpt_transpose(GptEnv *env, GptTensor *x, int dim1, int dim2) {
  int dims[GPT_MAX_DIMS];
  if (x == NULL) return NULL;
  for (int d = 0; d < x->ndim; d++) dims[d] = d == dim1 ? dim2 : d == dim2 ? dim1 : d;
  return gpt_permute(env, x, dims);
}

/* narrow and select: the gradient in its place, 0 elsewhere; integers: dim, first, length, the input's size there */

static GptTensor *slice_of(GptEnv *env, const GptTensor *x, int dim, int64_t first, int64_t length) {
  int64_t shape[GPT_MAX_DIMS];
  if (x == NULL) return NULL;
  memcpy(shape, x->shape, sizeof shape);
  shape[dim] = length;
  return gpt_tensor_view(env, x, x->ndim, shape, x->stride, x->offset + first * x->stride[dim]);
}

/* Zeros of grad's shape but for size at dim, with grad in the slices from first on. */
static GptTensor *put_slice(GptEnv *env, const GptTensor *grad, int dim, int64_t first, int64_t size) {
  int64_t shape[GPT_MAX_DIMS];
  memcpy(shape, grad->shape, sizeof shape);
  shape[dim] = size;
  GptTensor *y = gpt_tensor_zeros(env, GPT_F32, grad->ndim, shape);
  GptTensor *slice = slice_of(env, y, dim, first, grad->shape[dim]);
  if (slice != NULL) gpt_copy_elements(slice, grad);
  y = gpt_tensor_if(slice != NULL, y);
  gpt_tensor_release(slice);
  return y;
}

static bool narrow_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0,
                       put_slice(env, grad, (int)node->integers[0], node->integers[1], node->integers[2]));
}

static const GptOp narrow_op = {"narrow", narrow_backward};

GptTensor *gpt_narrow(GptEnv *env, GptTensor *x, int dim, int64_t first, int64_t length) {
  if (x == NULL) return NULL;
  GptOpCall call = {.op = &narrow_op, GPT_INPUTS(x), .integers = {dim, first, x->shape[dim]}};
  return gpt_graph_add(env, slice_of(env, x, dim, first, length), call);
}

static bool select_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *slice = gpt_unsqueeze(env, grad, (int)node->integers[0]);
  if (slice == NULL) return false;
  GptTensor *given = put_slice(env, slice, (int)node->integers[0], node->integers[1], node->integers[2]);
  return gpt_node_give(env, node, 0, gpt_tensor_then(slice, given));
}

static const GptOp select_op = {"select", select_backward};

GptTensor *gpt_select(GptEnv *env, GptTensor *x, int dim, int64_t position) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  if (x == NULL) return NULL;
  for (int d = 0; d < x->ndim - 1; d++) {
    shape[d] = x->shape[d < dim ? d : d + 1];
    stride[d] = x->stride[d < dim ? d : d + 1];
  }
  GptOpCall call = {.op = &select_op, GPT_INPUTS(x), .integers = {dim, position, x->shape[dim]}};
  return gpt_graph_add(env, gpt_tensor_view(env, x, x->ndim - 1, shape, stride, x->offset + position * x->stride[dim]),
                       call);
}

/* expand: the gradient summed over the repeats */

static bool expand_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_sum_to(env, grad, (int)node->numbers[0], node->integers));
}

static const GptOp expand_op = {"expand", expand_backward};

GptTensor *gpt_expand(GptEnv *env, GptTensor *x, int ndim, const int64_t *wanted) {
  int64_t shape[GPT_MAX_DIMS], stride[GPT_MAX_DIMS];
  char from[GPT_SHAPE_TEXT], to[GPT_SHAPE_TEXT];
  if (x == NULL) return NULL;
  bool fits = ndim >= x->ndim;
  for (int d = ndim - 1; d >= 0 && fits; d--) {
    int own = d - (ndim - x->ndim);
    int64_t size = own >= 0 ? x->shape[own] : 1;
    shape[d] = wanted[d] == -1 && own >= 0 ? size : wanted[d];
    stride[d] = own >= 0 && shape[d] == size ? x->stride[own] : 0;
    fits = shape[d] >= 0 && (size == 1 || size == shape[d]);
  }
  if (!fits)
    return gpt_fail_null(env, "shape %s cannot be broadcast to %s", gpt_tensor_shape_text(x, from),
                         gpt_shape_text(ndim, wanted, to));
  GptOpCall call = {.op = &expand_op, GPT_INPUTS(x)};
  note_shape(&call, x);
  return gpt_graph_add(env, gpt_tensor_view(env, x, ndim, shape, stride, x->offset), call);
}

/* flip: the gradient flipped; integers: dims */

static bool flip_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_flip(env, grad, (unsigned)node->integers[0]));
}

static const GptOp flip_op = {"flip", flip_backward};

GptTensor *gpt_flip(GptEnv *env, GptTensor *x, unsigned dims) {
  int64_t stride[GPT_MAX_DIMS] = {0}, offset = x->offset;
  for (int d = 0; d < x->ndim; d++) {
    bool flipped = (dims >> d & 1) != 0 && x->shape[d] > 1;
    stride[d] = flipped ? -x->stride[d] : x->stride[d];
    if (flipped) offset += (x->shape[d] - 1) * x->stride[d];
  }
  GptTensor *view = gpt_tensor_view(env, x, x->ndim, x->shape, stride, offset);
  GptTensor *y = gpt_tensor_then(view, view != NULL ? gpt_tensor_copy(env, view) : NULL);
  return gpt_graph_add(env, y, (GptOpCall){.op = &flip_op, GPT_INPUTS(x), .integers = {(int64_t)dims}});
}

/* clone: the gradient as it is */

static bool clone_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0, gpt_tensor_retain(grad));
}

static const GptOp clone_op = {"clone", clone_backward};

GptTensor *gpt_clone(GptEnv *env, GptTensor *x) {
  return gpt_graph_add(env, gpt_tensor_copy(env, x), (GptOpCall){.op = &clone_op, GPT_INPUTS(x)});
}

GptTensor *gpt_contiguous(GptEnv *env, GptTensor *x) {
  return x == NULL || gpt_tensor_contiguous(x) ? gpt_tensor_retain(x) : gpt_clone(env, x);
}
