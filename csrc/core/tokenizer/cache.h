/*
 * Words seen lately and their tokens, so that common words are merged once. A fixed number of slots; where two words
 * meet in one, the later stays.
 */
#ifndef GPT_CACHE_H
#define GPT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define GPT_CACHE_SLOTS 16384
#define GPT_CACHED_BYTES 32 /* of a word, at most */
#define GPT_CACHED_IDS 7

/* One line of the processor's cache. */
typedef struct GptCacheSlot {
  uint64_t word[4]; /* its bytes, then zeros */
  uint16_t length;  /* 0: empty */
  uint16_t count;
  uint32_t ids[GPT_CACHED_IDS];
} GptCacheSlot;

/* A word as slots hold it. */
typedef struct GptCacheKey {
  uint64_t word[4];
  uint16_t length;
  GptCacheSlot *slot; /* where it is, or would go */
} GptCacheKey;

/* The first n of 8 bytes, in memory's order. */
static inline uint64_t gpt_first_bytes(const uint8_t *bytes, size_t n) {
  uint64_t all;
  memcpy(&all, bytes, 8);
  if (n >= 8) return all;
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return all & ~(UINT64_MAX >> 8 * n);
#else
  return all & (((uint64_t)1 << 8 * n) - 1);
#endif
}

/* The key of a word of n bytes, 0 < n <= GPT_CACHED_BYTES; `after` more bytes may be read behind it. */
static inline GptCacheKey gpt_cache_key(GptCacheSlot *slots, const uint8_t *word, size_t n, size_t after) {
  GptCacheKey key = {.length = (uint16_t)n};
  uint8_t last[GPT_CACHED_BYTES];
  if (n + after < sizeof last) word = memcpy(last, word, n);
  key.word[0] = gpt_first_bytes(word, n);
  if (n > 8) key.word[1] = gpt_first_bytes(word + 8, n - 8);
  if (n > 16) key.word[2] = gpt_first_bytes(word + 16, n - 16);
  if (n > 24) key.word[3] = gpt_first_bytes(word + 24, n - 24);
  uint64_t h = key.word[0] * 0x9e3779b97f4a7c15u ^ key.word[1] * 0xc2b2ae3d27d4eb4fu;
  h ^= key.word[2] * 0x165667b19e3779f9u ^ key.word[3] * 0x27d4eb2f165667c5u;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  key.slot = &slots[h >> 32 & (GPT_CACHE_SLOTS - 1)];
  return key;
}

/* The slot holds the word. */
static inline bool gpt_cache_holds(const GptCacheKey *key) {
  const uint64_t *a = key->word, *b = key->slot->word;
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0 && key->length == key->slot->length;
}

/* Puts the word and its tokens into the slot, where they fit. */
void gpt_cache_put(const GptCacheKey *key, const int64_t *ids, size_t count);

#endif
