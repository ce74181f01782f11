/*
 * Tensors: a shape and strides over shared, reference-counted storage.
 *
 * Ownership: a function that returns a GptTensor * returns a new reference, which the caller releases; a function
 * that takes one borrows it. Dimensions and indexes count from 0 in the core (from 1 in Lua).
 * A view is a tensor over the storage of another one. Counts are not atomic: a tensor belongs to one environment.
 *
 * What makes a tensor of a tensor, here and among the ops that say so, returns NULL for NULL, so that a chain of them
 * needs one check, at its end.
 */
#ifndef GPT_TENSOR_H
#define GPT_TENSOR_H

#include "core/base/env.h"
#include "core/tensor/storage.h"

#define GPT_MAX_DIMS 8
#define GPT_SHAPE_TEXT 200

struct GptNode;
struct GptWatch;

typedef struct GptTensor {
  int64_t refs;
  GptEnv *env;
  GptStorage *storage;
  int ndim;
  int64_t shape[GPT_MAX_DIMS];
  int64_t stride[GPT_MAX_DIMS]; /* in elements */
  int64_t offset;               /* in elements, from the storage's start */
  bool requires_grad;           /* a leaf that accumulates a gradient */
  bool parameter;               /* registers itself where it is assigned to a layer */
  struct GptNode *node;         /* the recorded op that made it; NULL: a leaf */
  struct GptTensor *grad;       /* of a leaf, contiguous, its shape; or NULL */
  struct GptWatch *watch;       /* of a leaf: who is told when its gradient is whole (backward.h); borrowed, or NULL */
} GptTensor;

/* Bytes of a contiguous tensor. False and a message where there is no such tensor: too many dimensions, a negative
   size, more than can be counted, or rows (the last dimension) that are no whole blocks of the dtype. */
bool gpt_tensor_bytes(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, size_t *bytes);

/* New contiguous tensors; sizes are checked for overflow and against the memory that is there. */
GptTensor *gpt_tensor_new(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape);
GptTensor *gpt_tensor_zeros(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape);
GptTensor *gpt_tensor_like(GptEnv *env, const GptTensor *tensor); /* same shape and dtype, contiguous, uninitialised */
GptTensor *gpt_tensor_number(GptEnv *env, double value);          /* f32, no dimensions */

/* A contiguous tensor over part of a storage, from that element on; it takes its own reference to the storage. */
GptTensor *gpt_tensor_over(GptEnv *env, GptStorage *storage, int64_t offset, int ndim, const int64_t *shape);

/* A view with any shape and strides, unrecorded: the caller sees to it that it lies inside the storage. NULL and a
   message where it would cut through blocks of the dtype: in a blocked one, rows (the last dimension) are whole blocks
   that lie side by side. */
GptTensor *gpt_tensor_view(GptEnv *env, const GptTensor *tensor, int ndim, const int64_t *shape, const int64_t *stride,
                           int64_t offset);

/* The same storage, shape and strides, cut off from the graph. */
GptTensor *gpt_tensor_detach(GptEnv *env, const GptTensor *tensor);

/* A contiguous copy, cut off from the graph. */
GptTensor *gpt_tensor_copy(GptEnv *env, const GptTensor *tensor);

/* The tensor itself (a new reference) where it is contiguous, otherwise a copy; unrecorded, for reading in kernels. */
GptTensor *gpt_tensor_as_contiguous(GptEnv *env, GptTensor *tensor);

/*
 * What reads floats asks here. The tensor itself (a new reference) where it is f32, a converted copy where it is i64;
 * of any other dtype NULL and a message that begins with `what`, the op. The second returns a contiguous tensor, the
 * third takes f32 alone, and returns nothing new.
 */
GptTensor *gpt_tensor_as_floats(GptEnv *env, const char *what, GptTensor *tensor);
GptTensor *gpt_tensor_contiguous_floats(GptEnv *env, const char *what, GptTensor *tensor);
bool gpt_tensor_check_floats(GptEnv *env, const char *what, const GptTensor *tensor);

/* For what moves numbers without computing with them: f32 and i64 pass, any other dtype is false and a message. */
bool gpt_tensor_check_plain(GptEnv *env, const char *what, const GptTensor *tensor);

/* A contiguous copy in another dtype, or in the same; NULL and a message where the dtype cannot be written or rows are
   no whole blocks of it. Through f32, but for what is equal. */
GptTensor *gpt_tensor_convert(GptEnv *env, const GptTensor *tensor, GptDtype dtype);

/* Makes a leaf see what `other`, of the same shape, sees. Its gradient goes, and so does requires_grad. */
void gpt_tensor_assume(GptTensor *tensor, const GptTensor *other);

GptTensor *gpt_tensor_retain(GptTensor *tensor); /* NULL is fine; returns it */
void gpt_tensor_release(GptTensor *tensor);      /* NULL is fine */

/* Releases `used` and returns what was made of it: x = gpt_tensor_then(x, f(env, x)). Both may be NULL. */
GptTensor *gpt_tensor_then(GptTensor *used, GptTensor *made);

/* Returns the tensor where all went well, otherwise releases it and returns NULL. */
GptTensor *gpt_tensor_if(bool done, GptTensor *tensor);

/* Where the tensor's elements begin: of any dtype, of f32, of i64. The last two are for tensors that are known to be
   so, fresh ones and those that passed gpt_tensor_as_floats and its like. */
void *gpt_tensor_data(const GptTensor *tensor);
float *gpt_floats(const GptTensor *tensor);
int64_t *gpt_integers(const GptTensor *tensor);

/* The number at that element, from the tensor's first one on, of any dtype but i64 (whose numbers a float may not
 * hold). */
float gpt_tensor_float_at(const GptTensor *tensor, int64_t at);

int64_t gpt_tensor_numel(const GptTensor *tensor);

/* Where matrix i of [..., rows, columns] begins, in elements from the first one. */
int64_t gpt_tensor_matrix(const GptTensor *tensor, int64_t i);

bool gpt_tensor_contiguous(const GptTensor *tensor);
bool gpt_tensor_wants_grad(const GptTensor *tensor); /* a leaf with requires_grad, or recorded */
/* Does matrix b begin where matrix a ends, along the first dimension, in the same storage with the same strides? */
bool gpt_tensor_adjoins(const GptTensor *a, const GptTensor *b);

bool gpt_same_shape(const GptTensor *a, const GptTensor *b);

/* Puts a gradient, or NULL, in place of the tensor's, and takes it over; false from a finalizer in the middle of an
   operation, which may be adding to the one there. */
bool gpt_tensor_set_grad(GptTensor *tensor, GptTensor *grad);

/* To be called after every write into a tensor that others may hold. */
void gpt_tensor_written(GptTensor *tensor);

/* "[2, 3]" into text (GPT_SHAPE_TEXT bytes); returns text. */
const char *gpt_shape_text(int ndim, const int64_t *shape, char *text);
const char *gpt_tensor_shape_text(const GptTensor *tensor, char *text);

/* Strides of a contiguous tensor of that shape. */
void gpt_contiguous_strides(int ndim, const int64_t *shape, int64_t *stride);

/* dst[...] = src[...] for equal shapes and dtypes, any strides; dst is not marked as written. */
void gpt_copy_elements(GptTensor *dst, const GptTensor *src);

#endif
