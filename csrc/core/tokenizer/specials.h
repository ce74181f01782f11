/* Finding added tokens (special ones too) in text: the longest that begins at the leftmost place. */
#ifndef GPT_SPECIALS_H
#define GPT_SPECIALS_H

#include "core/tokenizer/vocabulary.h"

typedef struct GptSpecials {
  uint32_t *ids;    /* [count], in the order of their bytes */
  size_t count;
  uint32_t longest; /* bytes */
  bool begins[256]; /* one of them begins with that byte */
} GptSpecials;

/* Lists the added tokens of a vocabulary, with or without those that are marks (GPT_TOKEN_SPECIAL); whatever was listed
   before is forgotten. */
bool gpt_specials_collect(GptEnv *env, const GptVocabulary *vocabulary, bool marks, GptSpecials *specials);
void gpt_specials_free(GptEnv *env, GptSpecials *specials);

/* The next one from `at` on: its id, and where it lies; -1 where there is none. */
int64_t gpt_specials_next(const GptSpecials *specials, const GptVocabulary *vocabulary, const uint8_t *text, size_t at,
                          size_t n, size_t *start, size_t *end);

/* The longest one that text, of n bytes, begins with, or -1. */
int64_t gpt_specials_match(const GptSpecials *specials, const GptVocabulary *vocabulary, const uint8_t *text, size_t n);

#endif
