/*
 * Words seen lately and their tokens, so that common words are merged once. A fixed number of slots; where two words
 * meet in one, the later stays. A word's bytes lie in its slot, padded with zeros, their number in the last byte.
 */
#ifndef GPT_CACHE_H
#define GPT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPT_CACHE_SLOTS 8192
#define GPT_CACHED_BYTES 31 /* of a word, at most */
#define GPT_CACHED_IDS 7

/* One line of the processor's cache. */
typedef struct GptCacheSlot {
  uint64_t word[4];
  uint32_t count; /* 0: empty */
  uint32_t ids[GPT_CACHED_IDS];
} GptCacheSlot;

/* A word as slots hold it. */
typedef struct GptCacheKey {
  uint64_t word[4];
  GptCacheSlot *slot; /* where it is, or would go */
} GptCacheKey;

/* The key of a word of n bytes, 0 < n <= GPT_CACHED_BYTES; `after` more bytes may be read behind it. */
GptCacheKey gpt_cache_key(GptCacheSlot *slots, const uint8_t *word, size_t n, size_t after);

/* The slot holds the word. */
static inline bool gpt_cache_holds(const GptCacheKey *key) {
  const uint64_t *a = key->word, *b = key->slot->word;
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
}

/* Puts the word and its tokens into the slot, where they fit. */
void gpt_cache_put(const GptCacheKey *key, const int64_t *ids, size_t count);

#endif
