/*
 * Words seen lately and their tokens, so that common words are merged once. A fixed number of slots; where two words
 * meet in one, the later stays. A word's bytes lie in its slot, padded with zeros, their number in the last byte.
 */
#ifndef GPT_CACHE_H
#define GPT_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

/* The first n < 8 of 8 bytes, in memory's order. */
static inline uint64_t gpt_first_bytes(uint64_t bytes, size_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return bytes & ~(UINT64_MAX >> 8 * n);
#else
  return bytes & (((uint64_t)1 << 8 * n) - 1);
#endif
}

/* The key of a word of n bytes, 0 < n <= GPT_CACHED_BYTES; `after` more bytes may be read behind it. */
static inline GptCacheKey gpt_cache_key(GptCacheSlot *slots, const uint8_t *word, size_t n, size_t after) {
  GptCacheKey key = {{0}, NULL};
  size_t last = n / 8;
  if (n + after >= 32) {
    for (size_t i = 0; i <= last; i++) memcpy(&key.word[i], word + 8 * i, 8);
    key.word[last] = gpt_first_bytes(key.word[last], n % 8);
  } else {
    memcpy(key.word, word, n);
  }
  ((uint8_t *)key.word)[31] = (uint8_t)n;
  uint64_t h = key.word[0] * 0x9e3779b97f4a7c15u ^ key.word[1] * 0xc2b2ae3d27d4eb4fu;
  h ^= key.word[2] * 0x165667b19e3779f9u ^ key.word[3] * 0x27d4eb2f165667c5u;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  key.slot = &slots[h >> 32 & (GPT_CACHE_SLOTS - 1)];
  return key;
}

/* The slot holds the word. */
static inline bool gpt_cache_holds(const GptCacheKey *key) {
  const uint64_t *a = key->word, *b = key->slot->word;
  return ((a[0] ^ b[0]) | (a[1] ^ b[1]) | (a[2] ^ b[2]) | (a[3] ^ b[3])) == 0;
}

/* Puts the word and its tokens into the slot, where they fit. */
void gpt_cache_put(const GptCacheKey *key, const int64_t *ids, size_t count);

#endif
