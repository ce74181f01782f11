/* Numbers of 16 bits, f16 and bf16, as floats. */
#ifndef GPT_HALVES_H
#define GPT_HALVES_H

#include "core/kernels/vector.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

typedef uint16_t Halves __attribute__((vector_size(WIDTH * 2)));
typedef Halves HalvesInMemory __attribute__((aligned(1), may_alias));

INLINE Halves load_halves(const void *p) { return *(const HalvesInMemory *)p; }

/* (The compiler would widen them one by one.) */
INLINE Words widen(Halves h) {
#if WIDTH == 16
  return (Words)_mm512_cvtepu16_epi32((__m256i)h);
#elif WIDTH == 8
  return (Words)_mm256_cvtepu16_epi32((__m128i)h);
#else
  return __builtin_convertvector(h, Words);
#endif
}

INLINE Vec from_bf16(Halves h) { return (Vec)(widen(h) << 16); }

INLINE Vec from_f16(Halves h) {
#if WIDTH == 16
  return (Vec)_mm512_cvtph_ps((__m256i)h);
#elif WIDTH == 8
  return (Vec)_mm256_cvtph_ps((__m128i)h);
#elif defined(__ARM_NEON) && defined(__aarch64__)
  return (Vec)vcvt_f32_f16((float16x4_t)h);
#else
  /* Shifted into a float's place, an f16 is 2^-112 of its value; infinity and NaN have the greatest exponent. */
  Words bits = widen(h), rest = (bits & 0x7fff) << 13;
  Words special = (Words)(rest >= 0x0f800000u) & 0x7f800000u;
  return (Vec)((Words)((Vec)rest * 0x1p112f) | special | (bits & 0x8000) << 16);
#endif
}

#endif
