/* A row of the input in whole numbers of 8 bits, with a scale for each 32 of them. */
#ifndef GPT_QUANTISE_H
#define GPT_QUANTISE_H

#include "core/kernels/bytes.h"

/* Numbers 32 b .. 32 b + 31 are bytes times scales[b]. */
typedef struct Quantised {
  int8_t *bytes;
  float *scales;
} Quantised;

INLINE Ints larger_ints(Ints a, Ints b) {
#if WIDTH == 16
  return (Ints)_mm512_max_epi32((__m512i)a, (__m512i)b);
#elif WIDTH == 8
  return (Ints)_mm256_max_epi32((__m256i)a, (__m256i)b);
#else
  return (a & (a > b)) | (b & ~(a > b));
#endif
}

/* The greatest magnitude of 32 numbers, as bits: infinity is above all numbers, NaN above infinity. */
INLINE int32_t greatest_bits(const float *x) {
  Ints most = {0};
  UNROLL for (int i = 0; i < 32; i += WIDTH) most = larger_ints((Ints)magnitude(load(x + i)), most);
  most = larger_ints((Ints)DOWN_8((Vec)most), most);
  most = larger_ints((Ints)DOWN_4((Vec)most), most);
  most = larger_ints((Ints)DOWN_2((Vec)most), most);
  return most[0] > most[1] ? most[0] : most[1];
}

/* The low byte of each lane */
INLINE void store_low_bytes(int8_t *to, Ints v) {
#if WIDTH == 16
  _mm_storeu_si128((__m128i *)to, _mm512_cvtepi32_epi8((__m512i)v));
#else
  UNROLL for (int i = 0; i < WIDTH; i++) to[i] = (int8_t)v[i];
#endif
}

/* The scale of 32 numbers, and lanes that add up to the sum of the first and of the last 16 of their whole numbers */
typedef struct BlockScale {
  float scale;
  Ints halves[2];
} BlockScale;

INLINE int32_t sum_ints(Ints v) {
  v += (Ints)DOWN_8((Vec)v);
  v += (Ints)DOWN_4((Vec)v);
  v += (Ints)DOWN_2((Vec)v);
  return v[0] + v[1];
}

/* To the nearest whole number of 127ths of the greatest. Below 2^-100 all is 0; an infinity or a NaN makes all NaN. */
INLINE BlockScale quantise_block(int8_t *bytes, const float *x) {
  const float to_integer = 0x1.8p23f;
  const int32_t bits = greatest_bits(x);
  float most, inverse = 0.0f, scale = 0.0f;
  memcpy(&most, &bits, sizeof most);
  if (bits >= 0x7f800000) scale = NAN;
  else if (most >= 0x1p-100f) inverse = 127.0f / most, scale = most / 127.0f;
  BlockScale block = {scale, {{0}, {0}}};
  UNROLL for (int i = 0; i < 32; i += WIDTH) {
    Vec v = scale == scale ? load(x + i) : (Vec){0};
    const Ints shifted = (Ints)(v * inverse + to_integer);
    store_low_bytes(bytes + i, shifted);
    block.halves[i / 16] += shifted - (Ints)all(to_integer);
  }
  return block;
}

INLINE void quantise_row(Quantised to, const float *x, int64_t k) {
  for (int64_t b = 0; b < k / 32; b++) to.scales[b] = quantise_block(to.bytes + 32 * b, x + 32 * b).scale;
}

#endif
