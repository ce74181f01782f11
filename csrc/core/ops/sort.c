#include "core/ops/sort.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/axis.h"
#include "core/ops/gather.h"
#include "core/tensor/graph.h"

/* An element as an unsigned number in the order asked for, and where it was: equal ones keep their order. */
typedef struct Entry {
  uint64_t key;
  int64_t position;
} Entry;

/* Bits of a float in the order of its values, nan last, -0 as 0. */
static uint64_t float_key(float x) {
  uint32_t bits;
  if (x != x) return UINT32_MAX;
  x += 0.0f;
  memcpy(&bits, &x, sizeof bits);
  return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

/* What is ordered: n elements, stride apart, of which the first k in order are wanted. */
typedef struct Lane {
  const char *data; /* the first element */
  GptDtype dtype;
  int64_t n, stride, k;
  bool descending;
} Lane;

static uint64_t key_at(const Lane *lane, int64_t i) {
  uint64_t key = lane->dtype == GPT_I64 ? (uint64_t)((const int64_t *)lane->data)[i * lane->stride] ^ (uint64_t)1 << 63
                                        : float_key(((const float *)lane->data)[i * lane->stride]);
  return lane->descending ? ~key : key;
}

static bool entry_before(Entry a, Entry b) { return a.key < b.key || (a.key == b.key && a.position < b.position); }

/* Lets the entry at `at` sink in a heap with the last in order on top. */
static void sink(Entry *heap, int64_t n, int64_t at) {
  Entry entry = heap[at];
  for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
    if (child + 1 < n && entry_before(heap[child], heap[child + 1])) child++;
    if (!entry_before(entry, heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = entry;
}

/* The first k in order, into best. */
static void pick(const Lane *lane, Entry *best) {
  for (int64_t i = 0; i < lane->k; i++) best[i] = (Entry){key_at(lane, i), i};
  for (int64_t i = lane->k / 2; i-- > 0;) sink(best, lane->k, i);
  for (int64_t i = lane->k; lane->k > 0 && i < lane->n; i++) {
    Entry entry = {key_at(lane, i), i};
    if (!entry_before(entry, best[0])) continue;
    best[0] = entry;
    sink(best, lane->k, 0);
  }
  for (int64_t left = lane->k - 1; left > 0; left--) {
    Entry last = best[0];
    best[0] = best[left];
    best[left] = last;
    sink(best, left, 0);
  }
}

/* values and positions, stride apart as in the lane. */
static void put(const Lane *lane, const Entry *best, char *values, int64_t *positions) {
  size_t size = gpt_dtype(lane->dtype)->bytes, step = (size_t)lane->stride * size;
  for (int64_t i = 0; i < lane->k; i++) {
    positions[i * lane->stride] = best[i].position;
    memcpy(values + (size_t)i * step, lane->data + (size_t)best[i].position * step, size);
  }
}

/* For every lane of x [outer, n, inner] along dim. */
static bool pick_lanes(GptEnv *env, const GptTensor *x, int dim, int64_t k, bool descending, GptTensor *values,
                       GptTensor *positions) {
  GptAxis axis = gpt_tensor_axis(x, dim);
  int64_t size = (int64_t)gpt_dtype(x->storage->dtype)->bytes;
  Entry *best = gpt_alloc_array(env, k, sizeof *best);
  if (best == NULL) return false;
  const char *data = gpt_tensor_data(x);
  for (int64_t lane = 0; lane < axis.outer * axis.inner; lane++) {
    int64_t matrix = lane / axis.inner * axis.inner, column = lane % axis.inner;
    int64_t from = matrix * axis.n + column, to = matrix * k + column;
    Lane now = {data + from * size, x->storage->dtype, axis.n, axis.inner, k, descending};
    pick(&now, best);
    put(&now, best, (char *)values->storage->data + to * size, gpt_integers(positions) + to);
  }
  gpt_free(env, best);
  return true;
}

/* The gradient goes where the values came from. */
static bool order_backward(GptEnv *env, GptNode *node, GptTensor *grad) {
  return gpt_node_give(env, node, 0,
                       gpt_scatter(env, grad, gpt_node_saved(node, 0), (int)node->integers[0], node->integers[1]));
}

static const GptOp sort_op = {"sort", order_backward};
static const GptOp topk_op = {"topk", order_backward};

static bool order(GptEnv *env, const GptOp *op, GptTensor *x, int64_t k, int dim, bool descending, GptTensor **values,
                  GptTensor **positions) {
  int64_t shape[GPT_MAX_DIMS];
  memcpy(shape, x->shape, sizeof shape);
  shape[dim] = k;
  if (!gpt_tensor_check_plain(env, op->name, x)) return false;
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, x), *y = NULL, *p = NULL;
  if (contiguous != NULL) y = gpt_tensor_new(env, x->storage->dtype, x->ndim, shape);
  if (y != NULL) p = gpt_tensor_new(env, GPT_I64, x->ndim, shape);
  bool done = p != NULL && pick_lanes(env, contiguous, dim, k, descending, y, p);
  gpt_tensor_release(contiguous);
  if (done) {
    y = gpt_graph_add(env, y, (GptOpCall){.op = op, GPT_INPUTS(x), GPT_SAVES(p), .integers = {dim, x->shape[dim]}});
    done = y != NULL;
  }
  if (!done) gpt_tensor_release(y), gpt_tensor_release(p), y = p = NULL;
  *values = y;
  *positions = p;
  return done;
}

bool gpt_sort(GptEnv *env, GptTensor *x, int dim, bool descending, GptTensor **values, GptTensor **positions) {
  return order(env, &sort_op, x, x->shape[dim], dim, descending, values, positions);
}

bool gpt_topk(GptEnv *env, GptTensor *x, int64_t k, int dim, bool largest, GptTensor **values, GptTensor **positions) {
  return order(env, &topk_op, x, k, dim, largest, values, positions);
}
