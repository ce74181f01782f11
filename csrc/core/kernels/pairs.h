/* Pairs of bf16 numbers, two in a lane, on processors that multiply them. */
#ifndef GPT_PAIRS_H
#define GPT_PAIRS_H

#include "core/kernels/halves.h"

#if defined(__AVX512BF16__) || defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
#define HAS_PAIRS 1

/* 2 * WIDTH numbers, rounded to the nearest */
INLINE Ints to_bf16(Vec low, Vec high) {
#if defined(__AVX512BF16__)
  return (Ints)_mm512_cvtne2ps_pbh((__m512)high, (__m512)low);
#else
  return (Ints)vcvtq_high_bf16_f32(vcvtq_low_bf16_f32((float32x4_t)low), (float32x4_t)high);
#endif
}

/* Two vectors of WIDTH numbers after each other */
INLINE Ints join_halves(Halves low, Halves high) {
  struct {
    Halves low, high;
  } both = {low, high};
  Ints joined;
  memcpy(&joined, &both, sizeof joined);
  return joined;
}

/* The numbers of the lower half and of the upper half of a vector in turns */
INLINE Ints zip_halves(Ints v) {
  typedef uint16_t Numbers __attribute__((vector_size(WIDTH * 4)));
  const Numbers n = (Numbers)v;
#if WIDTH == 16
  return (Ints)__builtin_shufflevector(n, n, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23, 8, 24, 9, 25, 10, 26,
                                       11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
#else
  return (Ints)__builtin_shufflevector(n, n, 0, 4, 1, 5, 2, 6, 3, 7);
#endif
}

/* sums[i] += w[2i] * x[2i] + w[2i + 1] * x[2i + 1] */
INLINE Vec dot_pairs(Vec sums, Ints w, Ints x) {
#if defined(__AVX512BF16__)
  return (Vec)_mm512_dpbf16_ps((__m512)sums, (__m512bh)w, (__m512bh)x);
#else
  return (Vec)vbfdotq_f32((float32x4_t)sums, (bfloat16x8_t)w, (bfloat16x8_t)x);
#endif
}

#endif
#endif
