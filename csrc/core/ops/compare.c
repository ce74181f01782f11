/* The comparisons of binary.h. */
#include "core/ops/binary.h"
#include "core/ops/iterate.h"

/* Which of the three outcomes are true. A NaN is none of them: then the result is that of `unordered`. */
typedef struct Comparison {
  const char *name;
  int64_t less, equal, greater, unordered;
} Comparison;

static void compare_floats(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  Comparison is = *(const Comparison *)context;
  int64_t *y = data[0];
  const float *a = data[1], *b = data[2];
  for (int64_t i = 0; i < n; i++) {
    float p = a[i * stride[1]], q = b[i * stride[2]];
    y[i * stride[0]] = p < q ? is.less : p > q ? is.greater : p == q ? is.equal : is.unordered;
  }
}

static void compare_integers(const void *context, int64_t n, void *const *data, const int64_t *stride) {
  Comparison is = *(const Comparison *)context;
  int64_t *y = data[0];
  const int64_t *a = data[1], *b = data[2];
  for (int64_t i = 0; i < n; i++) {
    int64_t p = a[i * stride[1]], q = b[i * stride[2]];
    y[i * stride[0]] = p < q ? is.less : p > q ? is.greater : is.equal;
  }
}

static GptTensor *compare_with(GptEnv *env, const Comparison *kind, GptTensor *a, GptTensor *b, GptRun run) {
  int ndim;
  int64_t shape[GPT_MAX_DIMS];
  if (!gpt_broadcast(env, kind->name, a, b, &ndim, shape)) return NULL;
  GptTensor *y = gpt_tensor_new(env, GPT_I64, ndim, shape);
  if (y != NULL) gpt_each(3, (GptTensor *[]){y, a, b}, run, kind);
  return y;
}

static GptTensor *compare(GptEnv *env, const Comparison *kind, GptTensor *a, GptTensor *b) {
  if (a->storage->dtype == GPT_I64 && b->storage->dtype == GPT_I64)
    return compare_with(env, kind, a, b, compare_integers);
  GptTensor *x = gpt_tensor_as_floats(env, kind->name, a), *y = gpt_tensor_as_floats(env, kind->name, b);
  GptTensor *result = x != NULL && y != NULL ? compare_with(env, kind, x, y, compare_floats) : NULL;
  gpt_tensor_release(x);
  gpt_tensor_release(y);
  return result;
}

static const Comparison eq = {"eq", 0, 1, 0, 0}, ne = {"ne", 1, 0, 1, 1}, lt = {"lt", 1, 0, 0, 0};
static const Comparison le = {"le", 1, 1, 0, 0}, gt = {"gt", 0, 0, 1, 0}, ge = {"ge", 0, 1, 1, 0};

GptTensor *gpt_eq(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &eq, a, b); }
GptTensor *gpt_ne(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &ne, a, b); }
GptTensor *gpt_lt(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &lt, a, b); }
GptTensor *gpt_le(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &le, a, b); }
GptTensor *gpt_gt(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &gt, a, b); }
GptTensor *gpt_ge(GptEnv *env, GptTensor *a, GptTensor *b) { return compare(env, &ge, a, b); }
