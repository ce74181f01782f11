/* Tensors as matrices. */
#ifndef GPT_TENSOR_MATRIX_H
#define GPT_TENSOR_MATRIX_H

#include "core/linalg/matrix.h"
#include "core/tensor/tensor.h"

/* The last two dims of t, from element `at` of its memory on. */
static inline GptMatrix gpt_matrix_at(const GptTensor *t, int64_t at) {
  int d = t->ndim - 2;
  return (GptMatrix){gpt_floats(t) + at, t->shape[d], t->shape[d + 1], t->stride[d], t->stride[d + 1]};
}

#endif
