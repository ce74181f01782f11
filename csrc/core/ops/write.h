/*
 * Writing in place. A write that would break a recorded graph is refused; one into what a recorded op saved is noticed
 * by the backward, through the storage's version.
 */
#ifndef GPT_OPS_WRITE_H
#define GPT_OPS_WRITE_H

#include "core/ops/create.h"
#include "core/tensor/tensor.h"

/* False and a message (it begins with what) where x may not be written into now. */
bool gpt_check_writable(GptEnv *env, const GptTensor *x, const char *what);

/* x[...] = value; x[...] = source, broadcast to x's shape and converted to its dtype. */
bool gpt_fill(GptEnv *env, GptTensor *x, GptNumber value);
bool gpt_copy(GptEnv *env, GptTensor *x, GptTensor *source);

/* The same for n tensors and the source of each: all are written, or none. */
bool gpt_copy_all(GptEnv *env, int64_t n, GptTensor *const *x, GptTensor *const *sources);

#endif
