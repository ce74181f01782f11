/* Walking over tensors of one broadcast shape, element by element: what every elementwise op stands on. */
#ifndef GPT_ITERATE_H
#define GPT_ITERATE_H

#include "core/tensor/tensor.h"

#define GPT_EACH_MOST 4

/*
 * One inner run of a walk: n elements of every tensor, the i-th of tensor t at data[t] + i * stride[t] (in elements).
 * A stride is 1 where the elements are adjacent and 0 where one element serves them all.
 */
typedef void (*GptRun)(const void *context, int64_t n, void *const *data, const int64_t *stride);

/*
 * Calls run over all elements of tensors[0], in long runs, on several threads for large ones. The other tensors (count
 * of them with the first, 1 .. GPT_EACH_MOST) broadcast to its shape. tensors[0] is what run writes; it is not marked
 * as written.
 */
void gpt_each(int count, GptTensor *const *tensors, GptRun run, const void *context);

/* The shape two tensors broadcast to; op starts the message. */
bool gpt_broadcast(GptEnv *env, const char *op, const GptTensor *a, const GptTensor *b, int *ndim, int64_t *shape);

#endif
