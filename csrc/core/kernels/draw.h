/* Random words that need no state: a hash of a seed and an element's index, made again wherever it is needed. */
#ifndef GPT_DRAW_H
#define GPT_DRAW_H

#include "core/kernels/vector.h"

/* A mixing of 32 bits in which every bit of x changes half the bits of the result (Wellons, Prospecting for hash
   functions, 2018: lowbias32). */
INLINE Words mix(Words x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

INLINE Words all_words(uint32_t word) { return word - (Words){0}; }

/* The seeds of draw for elements whose indices have the upper half of first's. */
typedef struct Seeds {
  Words low, high;
} Seeds;

INLINE Seeds seeds_of(uint64_t seed, uint64_t first) {
  Words high = mix(all_words((uint32_t)(first >> 32))) ^ all_words((uint32_t)(seed >> 32));
  return (Seeds){all_words((uint32_t)seed), high};
}

/* The lower halves of the indices of WIDTH elements from first on. */
INLINE Words indices_from(uint64_t first) {
  Words indices = all_words((uint32_t)first);
  for (int i = 0; i < WIDTH; i++) indices[i] += (uint32_t)i;
  return indices;
}

/* The random words of WIDTH elements, whose indices' lower halves are given. */
INLINE Words draw(Words indices, Seeds seeds) { return mix(mix(indices ^ seeds.low) + seeds.high); }

#endif
