/*
 * Patterns of tokenizer.json that the scanner does not know, matched by PCRE2.
 *
 * The files' patterns are Oniguruma's, with Unicode 16. They are translated where PCRE2 would match otherwise: letters,
 * numbers and spaces are those of scanner.h, \w is Oniguruma's, ^ and $ match at every line's ends. What has another
 * meaning and no translation is refused. Bytes that are not UTF-8 match nothing.
 */
#ifndef GPT_REGEX_H
#define GPT_REGEX_H

#include "core/tokenizer/budget.h"

typedef struct GptRegex GptRegex;

/* Compiles a pattern of n bytes; with `literal` its text as it stands. NULL and a message where it is none. */
GptRegex *gpt_regex_new(GptEnv *env, const char *pattern, size_t n, bool literal);
void gpt_regex_free(GptEnv *env, GptRegex *regex); /* NULL is fine */

/* The pattern as it came. */
const char *gpt_regex_pattern(const GptRegex *regex);
bool gpt_regex_is_literal(const GptRegex *regex);

/* A match, or with `found` false: none yet, no more. */
typedef struct GptMatch {
  bool found;
  size_t start, end; /* they may be the same, but not right behind another match */
} GptMatch;

/* Finds the match after the given one, and puts it there. False and a message where the pattern takes more steps than
   the budget has left, or memory runs out. */
bool gpt_regex_next(GptEnv *env, GptRegex *regex, GptBudget *budget, const uint8_t *text, size_t n, GptMatch *match);

#endif
