/* Rows of a table, looked up by id. */
#ifndef GPT_EMBEDDING_H
#define GPT_EMBEDDING_H

#include "core/tensor/tensor.h"

/* y[..., :] = weight[ids[...], :] for ids (i64, any shape, counted from 0) and weight [n, dim] of any dtype but i64. An
 * id outside 0 .. n-1 is an error. */
GptTensor *gpt_embedding(GptEnv *env, GptTensor *ids, GptTensor *weight);

#endif
