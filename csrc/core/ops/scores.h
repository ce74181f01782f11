/* How likely token ids are by the logits before them. */
#ifndef GPT_SCORES_H
#define GPT_SCORES_H

#include "core/tensor/tensor.h"

/* Of one row of logits: the log probability of the target, and 1 where no other token is likelier, else 0. */
void gpt_score_row(const float *row, int64_t vocabulary, int64_t target, float out[2]);

/* The same of logits [..., vocabulary] and targets i64 [...]: [rows, 2], 0 where a target is masked. Not recorded. Fails
   where no target is left. */
GptTensor *gpt_logit_scores(GptEnv *env, GptTensor *logits, GptTensor *targets);

#endif
