/*
 * What one text may take, whatever the files say that its tokenizer came from: each step of a hostile file may make a
 * hundred bytes of one, and its patterns may try more ways than can be counted. Real ones come nowhere near.
 */
#ifndef GPT_BUDGET_H
#define GPT_BUDGET_H

#include "core/base/env.h"

#define GPT_MOST_GROWTH 256 /* all steps together may make that many times as much of a text */

typedef struct GptBudget {
  size_t bytes;   /* that steps may still write */
  uint64_t steps; /* that patterns may still take where GPT_FREE_STEPS are too few */
} GptBudget;

#define GPT_FREE_STEPS 1000 /* of a pattern at one place of a text: they count for nothing */

/* The budget of a text of n bytes, or of several texts that have n together. */
GptBudget gpt_budget_of(size_t n);

/* Whether so many bytes may be written; false and a message about what would write them, "normalizers" say. */
bool gpt_budget_check(GptEnv *env, const GptBudget *budget, size_t bytes, const char *what);

/* The same, and they are written now. */
bool gpt_budget_take(GptEnv *env, GptBudget *budget, size_t bytes, const char *what);

#endif
