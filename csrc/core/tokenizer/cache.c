#include "core/tokenizer/cache.h"

#include <string.h>

/* The first n of 8 bytes, in memory's order. */
static inline uint64_t first_bytes(uint64_t bytes, size_t n) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  return n == 0 ? 0 : bytes >> (64 - 8 * n) << (64 - 8 * n);
#else
  return n == 0 ? 0 : bytes << (64 - 8 * n) >> (64 - 8 * n);
#endif
}

static inline void read_word(uint64_t *out, const uint8_t *word, size_t n, size_t after) {
  memset(out, 0, 32);
  if (n + after < 32) {
    memcpy(out, word, n);
    return;
  }
  size_t whole = n / 8;
  memcpy(out, word, 8);
  for (size_t i = 1; i <= whole; i++) memcpy(&out[i], word + 8 * i, 8);
  out[whole] = first_bytes(out[whole], n % 8);
}

GptCacheKey gpt_cache_key(GptCacheSlot *slots, const uint8_t *word, size_t n, size_t after) {
  GptCacheKey key;
  read_word(key.word, word, n, after);
  ((uint8_t *)key.word)[31] = (uint8_t)n;
  uint64_t h = key.word[0] * 0x9e3779b97f4a7c15u ^ key.word[1] * 0xc2b2ae3d27d4eb4fu;
  h ^= key.word[2] * 0x165667b19e3779f9u ^ key.word[3] * 0x27d4eb2f165667c5u;
  h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
  key.slot = &slots[h >> 32 & (GPT_CACHE_SLOTS - 1)];
  return key;
}

void gpt_cache_put(const GptCacheKey *key, const int64_t *ids, size_t count) {
  if (count > GPT_CACHED_IDS) return;
  memcpy(key->slot->word, key->word, sizeof key->word);
  key->slot->count = (uint32_t)count;
  for (size_t i = 0; i < count; i++) key->slot->ids[i] = (uint32_t)ids[i];
}
