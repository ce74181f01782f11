/* Dropout's mask: a hash of a seed and an element's index, made again wherever it is needed. */
#include "core/kernels/table.h"


/* A mixing of 32 bits in which every bit of x changes half the bits of the result (Wellons, Prospecting for hash
   functions, 2018: lowbias32). */
INLINE Words mix(Words x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

INLINE Words all_words(uint32_t word) { return word - (Words){0}; }

/* The random words of WIDTH elements, whose indices' lower halves are given. */
INLINE Words draw(Words indices, Words low_seed, Words high_seed) { return mix(mix(indices ^ low_seed) + high_seed); }

void gpt_kernel(drop)(float *y, const float *x, uint64_t seed, uint64_t first, uint32_t threshold, float scale,
                      int64_t n) {
  const Words low = all_words((uint32_t)seed), least = all_words(threshold);
  const Words high = mix(all_words((uint32_t)(first >> 32))) ^ all_words((uint32_t)(seed >> 32));
  Words indices = all_words((uint32_t)first);
  for (int i = 0; i < WIDTH; i++) indices[i] += (uint32_t)i;
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH, indices += WIDTH)
    store(y + i, choose((Ints)(draw(indices, low, high) >= least), load(x + i) * scale, (Vec){0}));
  if (i < n) {
    Vec rest = load_part(x + i, n - i, (Vec){0}) * scale;
    store_part(y + i, n - i, choose((Ints)(draw(indices, low, high) >= least), rest, (Vec){0}));
  }
}
