/* What sessions are fed for: the logits of their last tokens, or how likely the tokens are that follow. */
#ifndef GPT_WANTED_H
#define GPT_WANTED_H

#include "core/tensor/tensor.h"

typedef struct GptWanted {
  int64_t *rows;      /* of each session, its last ones */
  int64_t total;      /* of all */
  GptTensor *targets; /* i64 [1, total]; NULL: logits, also where no target counts */
} GptWanted;

/* One row of each: the logits that a session returns. False without memory, as the next. */
bool gpt_wanted_last(GptEnv *env, GptWanted *wanted, int64_t n);

/* From each list's first target that counts on. */
bool gpt_wanted_targets(GptEnv *env, GptWanted *wanted, int64_t n, const int64_t *const *targets,
                        const int64_t *counts);

/* Rows of scores of what was wanted, [total, 2], as rows of all that was fed, [sum of counts, 2]. */
GptTensor *gpt_wanted_spread(GptEnv *env, const GptWanted *wanted, int64_t n, const int64_t *counts,
                             const GptTensor *scores);

void gpt_wanted_free(GptEnv *env, GptWanted *wanted);

#endif
