/* How often each word stands in texts, the texts cut into words as the scanner does. */
#ifndef GPT_WORDS_H
#define GPT_WORDS_H

#include "core/base/env.h"
#include "core/base/hash.h"
#include "core/tokenizer/scanner.h"

typedef struct GptWord {
  size_t start; /* of its bytes, in the list's */
  uint32_t length, hash;
  uint64_t count;
} GptWord;

typedef struct GptWords {
  GptEnv *env;
  uint8_t *bytes; /* of all words, one after the other */
  size_t used, room;
  GptWord *list; /* [count], in the order in which they first came */
  size_t count, capacity;
  uint32_t *slots; /* hash table: a word's number + 1, or 0 */
  size_t slot_count;
  GptHashKey key;
} GptWords;

void gpt_words_free(GptWords *words);

/* Counts the words of n more bytes of text. */
bool gpt_words_add_text(GptWords *words, const GptClasses *classes, const uint8_t *text, size_t n);

#endif
