/* Dropout's mask. */
#include "core/kernels/draw.h"
#include "core/kernels/table.h"

void gpt_kernel(drop)(float *y, const float *x, uint64_t seed, uint64_t first, uint32_t threshold, float scale,
                      int64_t n) {
  const Seeds seeds = seeds_of(seed, first);
  const Words least = all_words(threshold);
  Words indices = indices_from(first);
  int64_t i = 0;
  for (; i + WIDTH <= n; i += WIDTH, indices += WIDTH)
    store(y + i, choose((Ints)(draw(indices, seeds) >= least), load(x + i) * scale, (Vec){0}));
  if (i < n) {
    Vec rest = load_part(x + i, n - i, (Vec){0}) * scale;
    store_part(y + i, n - i, choose((Ints)(draw(indices, seeds) >= least), rest, (Vec){0}));
  }
}
