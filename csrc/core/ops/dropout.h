/* Dropout (Srivastava et al. 2014). */
#ifndef GPT_DROPOUT_H
#define GPT_DROPOUT_H

#include "core/tensor.h"

/*
 * y = x / (1 - rate) where an element is kept, 0 where it is dropped (with probability rate, in [0, 1)). Which ones are
 * dropped follows from the seed and the element's index alone, so that neither the number of threads nor a backward's
 * recomputation changes it.
 */
GptTensor *gpt_dropout(GptEnv *env, GptTensor *x, double rate, uint64_t seed);

/* Is element i of the mask with that seed kept? A fixed hash of both against a threshold from gpt_dropout_threshold. */
static inline bool gpt_dropout_keeps(uint64_t seed, uint64_t i, uint32_t threshold) {
  uint64_t z = seed + (i + 1) * UINT64_C(0x9e3779b97f4a7c15); /* SplitMix64 (Steele, Lea and Flood 2014) */
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return (uint32_t)((z ^ (z >> 31)) >> 32) >= threshold;
}

static inline uint32_t gpt_dropout_threshold(double rate) { return (uint32_t)(rate * 4294967296.0); }

#endif
