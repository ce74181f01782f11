#include "core/ops/write.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/ops/shape.h"
#include "core/tensor/shared.h"

bool gpt_check_writable(GptEnv *env, const GptTensor *x, const char *what) {
  if (env->recording && x->node != NULL)
    return gpt_fail(
        env,
        "%s: this tensor was recorded, and its gradient would no longer be true; write into detach() or clone() of it, "
        "or inside gpt.no_grad",
        what);
  if (env->recording && x->requires_grad)
    return gpt_fail(
        env, "%s: this tensor requires a gradient, and the write would not be recorded; write inside gpt.no_grad",
        what);
  for (int d = 0; d < x->ndim; d++)
    if (x->stride[d] == 0 && x->shape[d] > 1)
      return gpt_fail(
          env, "%s: several elements of this tensor share memory (it was expanded); write into a clone() of it", what);
  return true;
}

bool gpt_fill(GptEnv *env, GptTensor *x, GptNumber value) {
  GptTensor *one = gpt_full(env, x->storage->dtype == GPT_I64 ? GPT_I64 : GPT_F32, 0, NULL, value);
  if (one == NULL) return false;
  bool done = gpt_copy(env, x, one);
  gpt_tensor_release(one);
  return done;
}

/* source broadcast to x's shape, a new reference. */
static GptTensor *expanded(GptEnv *env, const GptTensor *x, GptTensor *source) {
  if (gpt_same_shape(source, x)) return gpt_tensor_detach(env, source);
  GptTensor *plain = gpt_tensor_detach(env, source); /* a broadcast is a view, which blocks do not allow */
  if (plain != NULL && gpt_dtype_blocked(source->storage->dtype)) {
    GptTensor *floats = gpt_tensor_convert(env, plain, GPT_F32);
    gpt_tensor_release(plain);
    plain = floats;
  }
  GptTensor *y = plain != NULL ? gpt_expand(env, plain, x->ndim, x->shape) : NULL;
  gpt_tensor_release(plain);
  return y;
}

/* source as something that can be copied element by element into x: its shape, its dtype, memory of its own. */
static GptTensor *prepared(GptEnv *env, const GptTensor *x, GptTensor *source) {
  GptTensor *fitting = expanded(env, x, source);
  if (fitting == NULL || (fitting->storage->dtype == x->storage->dtype && fitting->storage != x->storage))
    return fitting;
  GptTensor *converted = gpt_tensor_convert(env, fitting, x->storage->dtype);
  gpt_tensor_release(fitting);
  return converted;
}

/* All of a copy that can fail; what is left is write_ready. */
static GptTensor *make_source_ready(GptEnv *env, GptTensor *x, GptTensor *source) {
  if (!gpt_check_writable(env, x, "write")) return NULL;
  if (env->recording && gpt_tensor_wants_grad(source))
    return gpt_fail_null(
        env,
        "write: the source requires a gradient, and the write would not be recorded; write its detach(), or inside "
        "gpt.no_grad");
  GptTensor *ready = prepared(env, x, source);
  return gpt_tensor_if(ready != NULL && gpt_storage_make_private(x->storage), ready);
}

static void write_ready(GptTensor *x, GptTensor *ready) {
  gpt_copy_elements(x, ready);
  gpt_tensor_written(x);
}

bool gpt_copy(GptEnv *env, GptTensor *x, GptTensor *source) {
  GptTensor *ready = make_source_ready(env, x, source);
  if (ready != NULL) write_ready(x, ready);
  gpt_tensor_release(ready);
  return ready != NULL;
}

bool gpt_copy_all(GptEnv *env, int64_t n, GptTensor *const *x, GptTensor *const *sources) {
  GptTensor **ready = gpt_alloc_array_zeroed(env, n, sizeof *ready);
  bool done = ready != NULL;
  for (int64_t i = 0; i < n && done; i++) done = (ready[i] = make_source_ready(env, x[i], sources[i])) != NULL;
  for (int64_t i = 0; i < n && done; i++) write_ready(x[i], ready[i]);
  for (int64_t i = 0; i < n && ready != NULL; i++) gpt_tensor_release(ready[i]);
  gpt_free(env, ready);
  return done;
}
