/*
 * Hashes for tables whose keys come from files and texts. The key is drawn once in a process, so that nobody can write a
 * file whose keys all fall into one slot. Nothing that anybody sees may depend on the order of such a table's slots.
 *
 * A 64 by 64 bit product, its upper half folded onto the lower one, lets every bit of a word reach every bit of the hash.
 */
#ifndef GPT_HASH_H
#define GPT_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct GptHashKey {
  uint64_t first, factor, last;
} GptHashKey;

/* The key of this process. A table keeps a copy. */
GptHashKey gpt_hash_key(void);

static inline uint64_t gpt_hash_fold(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Product;
  const Product product = (Product)a * b;
  return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* The hash of a number. */
static inline uint64_t gpt_hash_number(GptHashKey key, uint64_t number) {
  return gpt_hash_fold(number ^ key.first, key.factor);
}

/* Bytes are hashed eight at a time, from h = key.first on. */
#define GPT_HASH_STEP 8

static inline uint64_t gpt_hash_step(GptHashKey key, uint64_t h, const uint8_t *bytes) {
  uint64_t eight;
  memcpy(&eight, bytes, sizeof eight);
  return gpt_hash_fold(h ^ eight, key.factor);
}

/* The n < 8 bytes that are left, and their whole number or whatever else tells keys of the same bytes apart. */
static inline uint64_t gpt_hash_end(GptHashKey key, uint64_t h, const uint8_t *bytes, size_t n, uint64_t number) {
  uint64_t left = 0;
  if (n >= 4) {
    uint32_t head, tail;
    memcpy(&head, bytes, 4);
    memcpy(&tail, bytes + n - 4, 4);
    left = (uint64_t)head << 32 | tail;
  } else if (n > 0) {
    left = (uint64_t)bytes[0] << 16 | (uint64_t)bytes[n / 2] << 8 | bytes[n - 1];
  }
  return gpt_hash_fold(gpt_hash_fold(h ^ left, key.factor) ^ number, key.last);
}

static inline uint64_t gpt_hash_bytes(GptHashKey key, const uint8_t *bytes, size_t n, uint64_t number) {
  uint64_t h = key.first;
  for (; n >= GPT_HASH_STEP; n -= GPT_HASH_STEP, bytes += GPT_HASH_STEP) h = gpt_hash_step(key, h, bytes);
  return gpt_hash_end(key, h, bytes, n, number);
}

#endif
