/* Dropout (Srivastava et al. 2014). */
#ifndef GPT_DROPOUT_H
#define GPT_DROPOUT_H

#include "core/tensor/tensor.h"

/*
 * y = x / (1 - rate) where an element is kept, 0 where it is dropped (with probability rate, in [0, 1)). Which ones are
 * dropped follows from the seed and the element's index alone, so that neither the number of threads nor a backward's
 * recomputation changes it.
 */
GptTensor *gpt_dropout(GptEnv *env, GptTensor *x, double rate, uint64_t seed);

/* The threshold for a kernel's drop. */
static inline uint32_t gpt_dropout_threshold(double rate) { return (uint32_t)(rate * 4294967296.0); }

#endif
