/* Tensors as matrices. */
#ifndef GPT_TENSOR_MATRIX_H
#define GPT_TENSOR_MATRIX_H

#include "core/linalg/weights.h"
#include "core/tensor/tensor.h"

/* The last two dims of t, from element `at` of its memory on. */
static inline GptMatrix gpt_matrix_at(const GptTensor *t, int64_t at) {
  int d = t->ndim - 2;
  return (GptMatrix){gpt_floats(t) + at, t->shape[d], t->shape[d + 1], t->stride[d], t->stride[d + 1]};
}

/* A tensor of two dims and any dtype as a weight. */
static inline GptWeight gpt_weight_of(const GptTensor *t) {
  const GptStorage *s = t->storage;
  return (GptWeight){s->dtype, gpt_tensor_data(t), t->shape[0], t->shape[1], t->stride[0], t->stride[1],
                     s->panels_version == s->version ? s->panels : NULL};
}

/* The weight, or a contiguous copy of one that cannot be multiplied where it lies; a new reference, unrecorded. */
static inline GptTensor *gpt_usable_weight(GptEnv *env, GptTensor *t) {
  GptWeight w = gpt_weight_of(t);
  return gpt_weight_fits(&w) ? gpt_tensor_retain(t) : gpt_tensor_as_contiguous(env, t);
}

#endif
