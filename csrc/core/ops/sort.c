#include "core/ops/sort.h"

#include <string.h>

#include "core/memory.h"
#include "core/ops/index.h"
#include "core/record.h"

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

static uint64_t key_at(const GptTensor *x, int64_t at, bool descending) {
  uint64_t key =
      x->storage->dtype == GPT_I64 ? (uint64_t)gpt_integers(x)[at] ^ (uint64_t)1 << 63 : float_key(gpt_floats(x)[at]);
  return descending ? ~key : key;
}

static bool before(Entry a, Entry b) { return a.key < b.key || (a.key == b.key && a.position < b.position); }

/* Lets the entry at `at` sink in a heap with the last in order on top. */
static void sink(Entry *heap, int64_t n, int64_t at) {
  Entry entry = heap[at];
  for (int64_t child = 2 * at + 1; child < n; child = 2 * at + 1) {
    if (child + 1 < n && before(heap[child], heap[child + 1])) child++;
    if (!before(entry, heap[child])) break;
    heap[at] = heap[child];
    at = child;
  }
  heap[at] = entry;
}

/* The first k in order of n elements of x, stride apart, into best. */
static void pick(const GptTensor *x, int64_t first, int64_t stride, int64_t n, int64_t k, bool descending,
                 Entry *best) {
  for (int64_t i = 0; i < k; i++) best[i] = (Entry){key_at(x, first + i * stride, descending), i};
  for (int64_t i = k / 2; i-- > 0;) sink(best, k, i);
  for (int64_t i = k; k > 0 && i < n; i++) {
    Entry entry = {key_at(x, first + i * stride, descending), i};
    if (!before(entry, best[0])) continue;
    best[0] = entry;
    sink(best, k, 0);
  }
  for (int64_t left = k - 1; left > 0; left--) {
    Entry last = best[0];
    best[0] = best[left];
    best[left] = last;
    sink(best, left, 0);
  }
}

static void put(GptTensor *values, GptTensor *positions, int64_t at, int64_t stride, const GptTensor *x, int64_t first,
                int64_t x_stride, const Entry *best, int64_t k) {
  for (int64_t i = 0; i < k; i++) {
    int64_t from = first + best[i].position * x_stride;
    gpt_integers(positions)[at + i * stride] = best[i].position;
    if (x->storage->dtype == GPT_I64) gpt_integers(values)[at + i * stride] = gpt_integers(x)[from];
    else gpt_floats(values)[at + i * stride] = gpt_floats(x)[from];
  }
}

/* For every lane of x [outer, n, inner] along dim. */
static bool pick_lanes(GptEnv *env, const GptTensor *x, int dim, int64_t k, bool descending, GptTensor *values,
                       GptTensor *positions) {
  int64_t outer = 1, inner = 1, n = x->shape[dim];
  for (int d = 0; d < dim; d++) outer *= x->shape[d];
  for (int d = dim + 1; d < x->ndim; d++) inner *= x->shape[d];
  Entry *best = gpt_alloc(env, (size_t)k * sizeof *best);
  if (best == NULL) return false;
  for (int64_t o = 0; o < outer; o++)
    for (int64_t i = 0; i < inner; i++) {
      pick(x, o * n * inner + i, inner, n, k, descending, best);
      put(values, positions, o * k * inner + i, inner, x, o * n * inner + i, inner, best, k);
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
  GptTensor *packed = gpt_tensor_packed(env, x), *y = NULL, *p = NULL;
  if (packed != NULL) y = gpt_tensor_new(env, x->storage->dtype, x->ndim, shape);
  if (y != NULL) p = gpt_tensor_new(env, GPT_I64, x->ndim, shape);
  bool done = p != NULL && pick_lanes(env, packed, dim, k, descending, y, p);
  gpt_tensor_release(packed);
  if (done) {
    y = gpt_record(env, y, (GptRecord){.op = op, GPT_INPUTS(x), GPT_SAVES(p), .integers = {dim, x->shape[dim]}});
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
