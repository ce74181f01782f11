/*
 * Ops that rearrange: views of the same storage, and copies of several tensors into one. All record themselves.
 * Dims are 0 <= dim < ndim: the caller has checked them. Sizes, which come from data, are checked here. NULL for NULL.
 */
#ifndef GPT_OPS_SHAPE_H
#define GPT_OPS_SHAPE_H

#include "core/tensor/tensor.h"

/* The same elements in another shape; one size may be -1, which is then worked out. A view fails where the strides do
   not allow one; reshape copies then. */
GptTensor *gpt_view(GptEnv *env, GptTensor *x, int ndim, const int64_t *shape);
GptTensor *gpt_reshape(GptEnv *env, GptTensor *x, int ndim, const int64_t *shape);

/* Two dims swapped; all dims in another order (dims: a permutation of 0 .. ndim-1). Views. */
GptTensor *gpt_transpose(GptEnv *env, GptTensor *x, int dim1, int dim2);
GptTensor *gpt_permute(GptEnv *env, GptTensor *x, const int *dims);

/* The slices first .. first+length-1 along dim; the one slice at position, without the dim. Views. */
GptTensor *gpt_narrow(GptEnv *env, GptTensor *x, int dim, int64_t first, int64_t length);
GptTensor *gpt_select(GptEnv *env, GptTensor *x, int dim, int64_t position);

/* A dim of size 1 put in before dim (0 .. ndim), or taken out. Views. */
GptTensor *gpt_unsqueeze(GptEnv *env, GptTensor *x, int dim);
GptTensor *gpt_squeeze(GptEnv *env, GptTensor *x, int dim);

/* Dims of size 1, and missing ones in front, repeated without copying (stride 0). A size of -1 stays as it is. */
GptTensor *gpt_expand(GptEnv *env, GptTensor *x, int ndim, const int64_t *shape);

/* A copy with the order along some dims turned around: bit d of `dims` for dim d. */
GptTensor *gpt_flip(GptEnv *env, GptTensor *x, unsigned dims);

/* x itself (a new reference) where it is contiguous, otherwise a recorded copy; and always a recorded copy. */
GptTensor *gpt_contiguous(GptEnv *env, GptTensor *x);
GptTensor *gpt_clone(GptEnv *env, GptTensor *x);

/* Tensors one behind the other along dim (shapes equal but there), or along a new dim (shapes equal). count >= 1. */
GptTensor *gpt_cat(GptEnv *env, int count, GptTensor *const *list, int dim);
GptTensor *gpt_stack(GptEnv *env, int count, GptTensor *const *list, int dim);

#endif
