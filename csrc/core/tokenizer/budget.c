#include "core/tokenizer/budget.h"

#define FIRST_BYTES 16 /* a beginning may be put before a short text, too */
#define FIRST_STEPS 2000000u

GptBudget gpt_budget_of(size_t n) {
  return (GptBudget){(n + FIRST_BYTES) * GPT_MOST_GROWTH, FIRST_STEPS + (uint64_t)n * GPT_FREE_STEPS};
}

bool gpt_budget_check(GptEnv *env, const GptBudget *budget, size_t bytes, const char *what) {
  return bytes <= budget->bytes ||
         gpt_fail(env, "the tokenizer's %s make more than %d times as much of a text", what, GPT_MOST_GROWTH);
}

bool gpt_budget_take(GptEnv *env, GptBudget *budget, size_t bytes, const char *what) {
  if (!gpt_budget_check(env, budget, bytes, what)) return false;
  budget->bytes -= bytes;
  return true;
}
