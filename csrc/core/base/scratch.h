/* Scratch memory for the tasks of one parallel loop of `items` items: as many equal pieces as can be computed at once,
 * claimed task by task. */
#ifndef GPT_SCRATCH_H
#define GPT_SCRATCH_H

#include <stdatomic.h>

#include "core/base/env.h"

typedef struct GptScratch {
  float *data;    /* [pieces, floats] */
  int64_t floats; /* of one piece */
  int pieces;
  atomic_bool *taken; /* [pieces] */
} GptScratch;

bool gpt_scratch_init(GptScratch *scratch, GptEnv *env, int64_t floats, int64_t items);
void gpt_scratch_free(GptScratch *scratch, GptEnv *env);

/* In a task: a piece of its own; it must be put back before the task ends. */
float *gpt_scratch_take(GptScratch *scratch);
void gpt_scratch_put(GptScratch *scratch, const float *piece);

#endif
