/* The matrix product of tensors, as torch.matmul: vectors, matrices, and batches of them that broadcast. Records
 * itself. */
#ifndef GPT_OPS_MATMUL_H
#define GPT_OPS_MATMUL_H

#include "core/tensor/tensor.h"

/*
 * [n] [n] -> []; [m, k] [k] -> [m]; [k] [k, n] -> [n]; [..., m, k] [..., k, n] -> [..., m, n], with the dims before the
 * last two broadcast. i64 is converted. Strided operands are multiplied where they lie where one of their last two
 * strides is 1. NULL for NULL.
 */
GptTensor *gpt_matmul(GptEnv *env, GptTensor *a, GptTensor *b);

/* [n] [m] -> [n, m]: every element of a times every one of b; of i64 too it is f32. Recorded. */
GptTensor *gpt_outer(GptEnv *env, GptTensor *a, GptTensor *b);

#endif
