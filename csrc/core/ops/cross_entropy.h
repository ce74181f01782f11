/* The loss of a language model. */
#ifndef GPT_CROSS_ENTROPY_H
#define GPT_CROSS_ENTROPY_H

#include "core/tensor/tensor.h"

#define GPT_NO_TARGET (-1) /* this position is left out */

/*
 * The mean over all positions of -log(softmax(logits)[target]), a tensor without dimensions; recorded.
 * logits [..., vocabulary], targets i64 [...], each a token id or GPT_NO_TARGET. Fails where no target is left. NULL
 * for NULL logits.
 */
GptTensor *gpt_cross_entropy(GptEnv *env, GptTensor *logits, GptTensor *targets);

/* Checks contiguous targets; returns how many count, or 0 and a message that begins with what. */
int64_t gpt_count_targets(GptEnv *env, const char *what, const GptTensor *targets, int64_t vocabulary);

#endif
