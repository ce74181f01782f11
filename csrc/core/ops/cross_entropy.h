/* The loss of a language model. */
#ifndef GPT_CROSS_ENTROPY_H
#define GPT_CROSS_ENTROPY_H

#include "core/tensor/tensor.h"

/* Whether a target leaves its position out: -1, or PyTorch's -100. */
static inline bool gpt_is_masked(int64_t target) { return target == -1 || target == -100; }

/*
 * The mean over all positions of -log(softmax(logits)[target]), a tensor without dimensions; recorded.
 * logits [..., vocabulary], targets i64 [...], each a token id or masked (-1, -100). Fails where no target is left. NULL
 * for NULL logits.
 */
GptTensor *gpt_cross_entropy(GptEnv *env, GptTensor *logits, GptTensor *targets);

/* Checks contiguous targets; returns how many count, or 0 and a message that begins with what. */
int64_t gpt_count_targets(GptEnv *env, const char *what, const GptTensor *targets, int64_t vocabulary);

#endif
