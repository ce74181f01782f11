/*
 * Vectors of bytes, for weights in blocks of 32: what each instruction set has for them stands here, so that the loops
 * above are written once. A vector of bytes is as long as one of floats; a `piece` is 16 bytes of it, over which lie
 * four lanes of 32 bits.
 */
#ifndef GPT_BYTES_H
#define GPT_BYTES_H

#include <stdbool.h>

#include "core/kernels/halves.h"

#define BYTES (WIDTH * 4)
#define PIECE 16
#define PIECES (BYTES / PIECE)

typedef uint8_t Bytes __attribute__((vector_size(BYTES)));
typedef uint16_t Shorts __attribute__((vector_size(BYTES)));
typedef int16_t SignedShorts __attribute__((vector_size(BYTES)));
typedef uint64_t Longs __attribute__((vector_size(BYTES)));
typedef Bytes BytesInMemory __attribute__((aligned(1), may_alias));
typedef Ints IntsInMemory __attribute__((aligned(4), may_alias));

INLINE Bytes load_bytes(const void *p) { return *(const BytesInMemory *)p; }
INLINE void store_bytes(void *p, Bytes v) { *(BytesInMemory *)p = v; }
INLINE Ints load_ints(const void *p) { return *(const IntsInMemory *)p; }
INLINE void store_ints(void *p, Ints v) { *(IntsInMemory *)p = v; }
INLINE Vec to_floats(Ints v) { return __builtin_convertvector(v, Vec); }
INLINE Bytes all_bytes(uint8_t byte) { return byte - (Bytes){0}; }

#define FOUR_TIMES(x) x, x, x, x
#define SIXTEEN_TIMES(x) FOUR_TIMES(x), FOUR_TIMES(x), FOUR_TIMES(x), FOUR_TIMES(x)

/* A byte for each piece, in all 16 bytes of it */
INLINE Bytes per_piece(uint8_t a, uint8_t b, uint8_t c, uint8_t d) {
#if WIDTH == 16
  return (Bytes){SIXTEEN_TIMES(a), SIXTEEN_TIMES(b), SIXTEEN_TIMES(c), SIXTEEN_TIMES(d)};
#elif WIDTH == 8
  (void)c, (void)d;
  return (Bytes){SIXTEEN_TIMES(a), SIXTEEN_TIMES(b)};
#else
  (void)b, (void)c, (void)d;
  return (Bytes){SIXTEEN_TIMES(a)};
#endif
}

/* The same four bytes in every lane */
INLINE Bytes repeat_four(const void *p) {
  int32_t four;
  memcpy(&four, p, sizeof four);
  return (Bytes)(four - (Ints){0});
}

/*
 * sums[i] += the products of the four bytes of lane i: u[4i] * x[4i] + .. + u[4i + 3] * x[4i + 3], x signed.
 *   dot_small:  u in 0 .. 127, x in -127 .. 127
 *   dot_weight: u is what weight_bytes made of signed bytes w; the sum is that of w * x where sums began at
 *               -WEIGHT_START times the sum of the x
 */
#if WIDTH >= 8 && (defined(__AVX512VNNI__) || defined(__AVXVNNI__))
#define WEIGHT_START 128
INLINE Ints dot_small(Ints sums, Bytes u, Bytes x) {
#if WIDTH == 16
  return (Ints)_mm512_dpbusd_epi32((__m512i)sums, (__m512i)u, (__m512i)x);
#elif defined(__AVXVNNI__)
  return (Ints)_mm256_dpbusd_avx_epi32((__m256i)sums, (__m256i)u, (__m256i)x);
#else
  return (Ints)_mm256_dpbusd_epi32((__m256i)sums, (__m256i)u, (__m256i)x);
#endif
}
INLINE Bytes weight_bytes(Bytes w) { return w ^ 128; }
INLINE Ints dot_weight(Ints sums, Bytes u, Bytes x) { return dot_small(sums, u, x); }
#elif defined(__ARM_FEATURE_DOTPROD)
#define WEIGHT_START 0
INLINE Bytes weight_bytes(Bytes w) { return w; }
INLINE Ints dot_weight(Ints sums, Bytes w, Bytes x) {
  return (Ints)vdotq_s32((int32x4_t)sums, (int8x16_t)w, (int8x16_t)x);
}
INLINE Ints dot_small(Ints sums, Bytes u, Bytes x) { return dot_weight(sums, u, x); }
#else
#define WEIGHT_START 0
INLINE Bytes weight_bytes(Bytes w) { return w; }
#if WIDTH == 16
INLINE Ints dot_small(Ints sums, Bytes u, Bytes x) {
  __m512i pairs = _mm512_maddubs_epi16((__m512i)u, (__m512i)x); /* two products of at most 127 * 127 fit */
  return sums + (Ints)_mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
}
INLINE Ints dot_weight(Ints sums, Bytes w, Bytes x) {
  __m512i opposite = _mm512_mask_sub_epi8((__m512i)x, _mm512_movepi8_mask((__m512i)w), _mm512_setzero_si512(), (__m512i)x);
  return dot_small(sums, (Bytes)_mm512_abs_epi8((__m512i)w), (Bytes)opposite);
}
#elif WIDTH == 8
INLINE Ints dot_small(Ints sums, Bytes u, Bytes x) {
  __m256i pairs = _mm256_maddubs_epi16((__m256i)u, (__m256i)x);
  return sums + (Ints)_mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}
INLINE Ints dot_weight(Ints sums, Bytes w, Bytes x) {
  return dot_small(sums, (Bytes)_mm256_abs_epi8((__m256i)w), (Bytes)_mm256_sign_epi8((__m256i)x, (__m256i)w));
}
#else
/* Even and odd bytes side by side: the sum of two products, of at most 128 * 127 each, fits in 16 bits. */
INLINE Ints dot_weight(Ints sums, Bytes w, Bytes x) {
  SignedShorts ws = (SignedShorts)w, xs = (SignedShorts)x;
  Ints pairs = (Ints)(((ws << 8) >> 8) * ((xs << 8) >> 8) + (ws >> 8) * (xs >> 8));
  return sums + ((pairs << 16) >> 16) + (pairs >> 16);
}
INLINE Ints dot_small(Ints sums, Bytes u, Bytes x) { return dot_weight(sums, u, x); }
#endif
#endif

/* In a register from here on: compilers load again for each instruction that takes its operand from memory. */
INLINE Bytes loaded(Bytes v) {
#if defined(__AVX512F__)
  __asm__("" : "+v"(v));
#elif defined(__AVX2__)
  __asm__("" : "+x"(v));
#endif
  return v;
}

/* Bytes in memory, from one vector's to two vectors' length of them, of which pieces and scales are picked: out of
   registers, where the processor does that. */
typedef struct Span {
  const uint8_t *from;
  Bytes first, last; /* a vector from the begin on, and one up to the end */
} Span;

#if WIDTH == 16 && defined(__AVX512VBMI__)
#define PICKS_BYTES 1
#endif

INLINE Span load_span(const uint8_t *p, const int bytes) {
#if defined(PICKS_BYTES)
  return (Span){p, loaded(load_bytes(p)), loaded(load_bytes(p + bytes - BYTES))};
#else
  (void)bytes;
  return (Span){p, {0}, {0}};
#endif
}

#if defined(PICKS_BYTES)
/* Where a byte of a span of so many is in its two vectors together */
#define PLACE_OF(byte, bytes) ((byte) < BYTES ? (byte) : (byte) + 2 * BYTES - (bytes))

/* The pieces that begin at these bytes of a span */
INLINE Bytes pick_pieces(const Span *span, const int bytes, const int a, const int b, const int c, const int d) {
  Bytes at;
  UNROLL for (int i = 0; i < PIECE; i++) {
    at[i] = (uint8_t)PLACE_OF(a + i, bytes);
    at[PIECE + i] = (uint8_t)PLACE_OF(b + i, bytes);
    at[2 * PIECE + i] = (uint8_t)PLACE_OF(c + i, bytes);
    at[3 * PIECE + i] = (uint8_t)PLACE_OF(d + i, bytes);
  }
  return (Bytes)_mm512_permutex2var_epi8((__m512i)span->first, (__m512i)at, (__m512i)span->last);
}
#endif

/* Pieces that lie `stride` bytes apart in a span of so many, side by side. */
INLINE Bytes pieces_of(const Span *span, const int bytes, const int first, const int stride) {
#if defined(PICKS_BYTES)
  return pick_pieces(span, bytes, first, first + stride, first + 2 * stride, first + 3 * stride);
#else
  (void)bytes;
  const uint8_t *p = span->from + first;
#if WIDTH == 16
  __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)p));
  v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(p + stride)), 1);
  v = _mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(p + 2 * stride)), 2);
  return (Bytes)_mm512_inserti32x4(v, _mm_loadu_si128((const __m128i *)(p + 3 * stride)), 3);
#elif WIDTH == 8
  return (Bytes)_mm256_loadu2_m128i((const __m128i *)(p + stride), (const __m128i *)p);
#else
  (void)stride;
  return load_bytes(p);
#endif
#endif
}

/* The same 16, or 32, bytes over and over */
INLINE Bytes repeat_piece(const uint8_t *p) {
#if WIDTH == 16
  return (Bytes)_mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)p));
#elif WIDTH == 8
  return (Bytes)_mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
#else
  return load_bytes(p);
#endif
}

#if WIDTH == 16
INLINE Bytes repeat_two_pieces(const uint8_t *p) {
  return (Bytes)_mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)p));
}
#endif

/* One of 16 numbers for each piece, in all four lanes of it: first, first + gap, .. (gap 1 or 2) */
typedef struct Sixteen {
  Vec numbers[16 / WIDTH];
} Sixteen;

INLINE Vec pick_lanes(const Sixteen *from, const int first, const int gap) {
#if WIDTH == 16
  Ints at;
  UNROLL for (int i = 0; i < WIDTH; i++) at[i] = first + i / 4 * gap;
  return (Vec)_mm512_permutexvar_ps((__m512i)at, (__m512)from->numbers[0]);
#elif WIDTH == 8
  Ints at;
  UNROLL for (int i = 0; i < WIDTH; i++) at[i] = (first + i / 4 * gap) % 8;
  return (Vec)_mm256_permutevar8x32_ps((__m256)from->numbers[first / 8], (__m256i)at);
#else
  (void)gap;
  return all(from->numbers[first / 4][first % 4]);
#endif
}

typedef uint8_t SixteenBytes __attribute__((vector_size(16)));

INLINE SixteenBytes load_sixteen(const uint8_t *p) {
  SixteenBytes v;
  memcpy(&v, p, sizeof v);
  return v;
}

/* 16 bytes, signed or not, as numbers. (The compiler would take them one by one.) */
INLINE Sixteen sixteen_of(SixteenBytes bytes, const bool is_signed) {
#if WIDTH == 16
  const __m128i v = (__m128i)bytes;
  return (Sixteen){{to_floats((Ints)(is_signed ? _mm512_cvtepi8_epi32(v) : _mm512_cvtepu8_epi32(v)))}};
#elif WIDTH == 8
  const __m128i v = (__m128i)bytes, w = _mm_unpackhi_epi64(v, v);
  return (Sixteen){{to_floats((Ints)(is_signed ? _mm256_cvtepi8_epi32(v) : _mm256_cvtepu8_epi32(v))),
                    to_floats((Ints)(is_signed ? _mm256_cvtepi8_epi32(w) : _mm256_cvtepu8_epi32(w)))}};
#else
  Sixteen sixteen;
  UNROLL for (int i = 0; i < 16; i++) sixteen.numbers[i / 4][i % 4] = is_signed ? (float)(int8_t)bytes[i] : (float)bytes[i];
  return sixteen;
#endif
}

INLINE float half_at(const uint8_t *p) {
  Halves h = {0};
  memcpy((char *)&h, p, 2);
  return from_f16(h)[0];
}

/* The first eight numbers times that at p, the last eight times the opposite of that at q, both f16 */
INLINE void scale_halves(Sixteen *s, const uint8_t *p, const uint8_t *q) {
#if WIDTH == 16
  uint16_t a, b;
  memcpy(&a, p, 2);
  memcpy(&b, q, 2);
  s->numbers[0] *= (Vec)_mm512_cvtph_ps(_mm256_set_m128i(_mm_set1_epi16((int16_t)(b ^ 0x8000)), _mm_set1_epi16((int16_t)a)));
#else
  float first = half_at(p), second = -half_at(q);
  UNROLL for (int i = 0; i < 16 / WIDTH; i++) s->numbers[i] *= i * WIDTH < 8 ? first : second;
#endif
}

/* The f16 numbers that lie `stride` bytes apart in a span, one for each piece, in all four lanes of it. */
INLINE Vec scales_of(const Span *span, const int bytes, const int first, const int stride) {
  (void)bytes;
#if WIDTH == 16
  Shorts at = {0};
#if defined(PICKS_BYTES)
  UNROLL for (int i = 0; i < WIDTH; i++) {
    const int byte = first + i / 4 * stride;
    at[i] = (uint16_t)(PLACE_OF(byte, bytes) / 2);
  }
  const __m512i v = (__m512i)span->first, w = (__m512i)span->last;
#else
  const int reach = 3 * stride + 2, past = reach > BYTES ? reach - BYTES : 0;
  UNROLL for (int i = 0; i < WIDTH; i++) {
    const int byte = i / 4 * stride;
    at[i] = (uint16_t)((byte < BYTES ? byte : byte - past + BYTES) / 2);
  }
  const uint8_t *p = span->from + first;
  const __m512i v = (__m512i)load_bytes(p), w = (__m512i)load_bytes(p + past);
#endif
  return (Vec)_mm512_cvtph_ps(_mm512_castsi512_si256(_mm512_permutex2var_epi16(v, (__m512i)at, w)));
#elif WIDTH == 8
  int16_t each[2];
  memcpy(&each[0], span->from + first, 2);
  memcpy(&each[1], span->from + first + stride, 2);
  return (Vec)_mm256_cvtph_ps(_mm_unpacklo_epi64(_mm_set1_epi16(each[0]), _mm_set1_epi16(each[1])));
#else
  (void)stride;
  return all(half_at(span->from + first));
#endif
}

#endif
