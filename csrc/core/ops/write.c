#include "core/ops/write.h"

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

bool gpt_copy(GptEnv *env, GptTensor *x, GptTensor *source) {
  if (!gpt_check_writable(env, x, "write")) return false;
  if (env->recording && gpt_tensor_wants_grad(source))
    return gpt_fail(
        env,
        "write: the source requires a gradient, and the write would not be recorded; write its detach(), or inside "
        "gpt.no_grad");
  GptTensor *ready = prepared(env, x, source);
  if (ready == NULL) return false;
  bool done = gpt_storage_make_private(x->storage);
  if (done) gpt_copy_elements(x, ready);
  if (done) gpt_tensor_written(x);
  gpt_tensor_release(ready);
  return done;
}
