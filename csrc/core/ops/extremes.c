/* The reductions of reduce.h that choose an element: max, min, argmax, argmin. */
#include <string.h>

#include "core/ops/reduce.h"
#include "core/ops/reduction.h"
#include "core/base/parallel.h"

typedef struct Kind {
  GptOp op;
  bool least;
} Kind;

/* Rows and where their results go; a result may be NULL. */
typedef struct Choice {
  const GptTensor *x; /* [rows, n], contiguous */
  GptTensor *values;  /* [rows] */
  int64_t *positions; /* [rows] */
  int64_t n;
  bool least;
} Choice;

static int64_t choose_float(const float *x, int64_t n, bool least) {
  int64_t at = 0;
  for (int64_t i = 1; i < n && x[at] == x[at]; i++)
    if (x[i] != x[i] || (least ? x[i] < x[at] : x[i] > x[at])) at = i;
  return at;
}

static int64_t choose_integer(const int64_t *x, int64_t n, bool least) {
  int64_t at = 0;
  for (int64_t i = 1; i < n; i++)
    if (least ? x[i] < x[at] : x[i] > x[at]) at = i;
  return at;
}

static void choose_rows(void *context, int64_t first, int64_t last) {
  const Choice *choice = context;
  bool integers = choice->x->storage->dtype == GPT_I64;
  for (int64_t row = first; row < last; row++) {
    int64_t start = row * choice->n;
    int64_t at = integers ? choose_integer(gpt_integers(choice->x) + start, choice->n, choice->least)
                          : choose_float(gpt_floats(choice->x) + start, choice->n, choice->least);
    if (choice->positions != NULL) choice->positions[row] = at;
    if (choice->values == NULL) continue;
    if (integers) gpt_integers(choice->values)[row] = gpt_integers(choice->x)[start + at];
    else gpt_floats(choice->values)[row] = gpt_floats(choice->x)[start + at];
  }
}

/* Fills values and positions, both optional. */
static bool choose_extremes(GptEnv *env, GptTensor *x, int dim, bool least, GptTensor *values, GptTensor *positions) {
  GptRows rows;
  if (!gpt_rows_of(env, x, dim, &rows)) return false;
  Choice choice = {rows.x, values, positions != NULL ? gpt_integers(positions) : NULL, rows.n, least};
  gpt_parallel_for(rows.count, gpt_grain(rows.n), choose_rows, &choice);
  gpt_tensor_release(rows.x);
  return true;
}

/* The chosen element gets the gradient. */
static bool give_chosen(GptEnv *env, GptNode *node, const float *dy) {
  const int64_t *positions = gpt_integers(gpt_node_saved(node, 0));
  GptRows rows;
  if (!gpt_gradient_rows(env, node, &rows)) return false;
  float *dx = gpt_floats(rows.x);
  memset(dx, 0, (size_t)(rows.count * rows.n) * sizeof *dx);
  for (int64_t row = 0; row < rows.count; row++) dx[row * rows.n + positions[row]] = dy[row];
  return gpt_give_rows(env, node, &rows);
}

static bool is_chosen(float x, float y) { return x == y || (x != x && y != y); }

/* Over all dimensions: equal ones share it. */
static bool give_equal(GptEnv *env, GptNode *node, float dy) {
  GptTensor *x = gpt_tensor_as_contiguous(env, gpt_node_saved(node, 0));
  float y = *gpt_floats(gpt_node_saved(node, 1));
  int64_t equal = 0;
  GptRows rows;
  if (x == NULL || !gpt_gradient_rows(env, node, &rows)) return gpt_tensor_release(x), false;
  for (int64_t i = 0; i < rows.n; i++) equal += is_chosen(gpt_floats(x)[i], y);
  for (int64_t i = 0; i < rows.n; i++)
    gpt_floats(rows.x)[i] = is_chosen(gpt_floats(x)[i], y) ? dy / (float)equal : 0;
  gpt_tensor_release(x);
  return gpt_give_rows(env, node, &rows);
}

static bool extreme_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  GptTensor *dy = gpt_tensor_as_contiguous(env, grad);
  if (dy == NULL) return false;
  bool along_dim = gpt_node_saved(node, 1) == NULL;
  bool done = along_dim ? give_chosen(env, node, gpt_floats(dy)) : give_equal(env, node, *gpt_floats(dy));
  gpt_tensor_release(dy);
  return done;
}

static GptTensor *compute_extreme(GptEnv *env, const Kind *kind, GptTensor *x, int dim, bool keepdim,
                                  GptTensor **positions) {
  if (!gpt_tensor_check_plain(env, kind->op.name, x) || !gpt_check_not_empty(env, kind->op.name, x, dim)) return NULL;
  bool all = dim == GPT_ALL_DIMS;
  GptTensor *y = gpt_reduced_new(env, x->storage->dtype, x, dim, keepdim);
  GptTensor *at = y != NULL && !all ? gpt_reduced_new(env, GPT_I64, x, dim, keepdim) : NULL;
  y = gpt_tensor_if(y != NULL && (all || at != NULL) && choose_extremes(env, x, dim, kind->least, y, at), y);
  GptTensor *const by_position[2] = {at, NULL}, *const by_value[2] = {x, y};
  if (y != NULL) y = gpt_graph_add_reduction(env, &kind->op, y, x, dim, all ? by_value : by_position, 0);
  if (y != NULL && positions != NULL) *positions = gpt_tensor_retain(at);
  gpt_tensor_release(at);
  return y;
}

static GptTensor *compute_position(GptEnv *env, const char *name, GptTensor *x, int dim, bool keepdim, bool least) {
  if (!gpt_tensor_check_plain(env, name, x) || !gpt_check_not_empty(env, name, x, dim)) return NULL;
  GptTensor *y = gpt_reduced_new(env, GPT_I64, x, dim, keepdim);
  return gpt_tensor_if(y != NULL && choose_extremes(env, x, dim, least, NULL, y), y);
}

static const Kind max_kind = {{"max", extreme_backward}, false}, min_kind = {{"min", extreme_backward}, true};

GptTensor *gpt_max(GptEnv *env, GptTensor *x, int dim, bool keepdim, GptTensor **positions) {
  return compute_extreme(env, &max_kind, x, dim, keepdim, positions);
}

GptTensor *gpt_min(GptEnv *env, GptTensor *x, int dim, bool keepdim, GptTensor **positions) {
  return compute_extreme(env, &min_kind, x, dim, keepdim, positions);
}

GptTensor *gpt_argmax(GptEnv *env, GptTensor *x, int dim, bool keepdim) {
  return compute_position(env, "argmax", x, dim, keepdim, false);
}

GptTensor *gpt_argmin(GptEnv *env, GptTensor *x, int dim, bool keepdim) {
  return compute_position(env, "argmin", x, dim, keepdim, true);
}
