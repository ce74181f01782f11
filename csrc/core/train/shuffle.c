#include "core/train/shuffle.h"

#define ROUNDS 6

/* splitmix64's finalizer (Steele, Lea and Flood 2014). */
static uint64_t mix_bits(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

uint64_t gpt_shuffle_key(uint64_t a, uint64_t b) { return mix_bits(mix_bits(a) ^ b); }

static uint64_t permute_index(uint64_t i, int half, uint64_t key) {
  uint64_t mask = ((uint64_t)1 << half) - 1, left = i >> half, right = i & mask;
  for (uint64_t round = 0; round < ROUNDS; round++) {
    uint64_t next = left ^ (mix_bits(mix_bits(right ^ key) + round) & mask);
    left = right;
    right = next;
  }
  return left << half | right;
}

uint64_t gpt_shuffle(uint64_t i, uint64_t n, uint64_t key) {
  int half = 1;
  while (half < 32 && ((uint64_t)1 << 2 * half) < n) half++;
  do i = permute_index(i, half, key);
  while (i >= n);
  return i;
}
