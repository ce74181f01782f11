/*
 * How GGUF's block types are unpacked for products: a step at a time, into bytes, scales and minima. A number is
 * scale * (byte - zero) + least, where its lane has the scale and the least; zero, the type's own, is subtracted from
 * the sums: they begin at -zero times the sum of the input.
 *
 * A step of a `paired` type is two vectors of bytes under one vector of scales. Each piece of them belongs to another
 * block of 32 numbers, whose first half is in `low` and whose second half in `high`; block_of says which. A step of one
 * that is not paired is one vector of numbers in their order.
 */
#ifndef GPT_BLOCKS_H
#define GPT_BLOCKS_H

#include "core/kernels/bytes.h"

typedef struct Step {
  Bytes low, high;
  Vec scale, least;
} Step;

/* The step that begins at the block p; of large blocks, the block p's step of that number. */
typedef Step (*Unpack)(const uint8_t *p, int step);

typedef struct Kind {
  int values, bytes; /* of a block: 32, or 256 */
  int bits;          /* of a number in an unpacked byte; of 8 products need dot_weight */
  int zero;
  bool minima, paired;
  int crossed;       /* the piece of a step in which a block's halves have changed places; -1: none */
  Unpack unpack;
} Kind;

#define STEP_VALUES(kind) ((kind).paired ? 2 * BYTES : BYTES)
#define STEPS(kind) ((kind).values == 256 ? 256 / STEP_VALUES(kind) : 1) /* of a group: */
#define GROUP_BLOCKS(kind) ((kind).values == 256 ? 1 : PIECES)
#define GROUP_VALUES(kind) (GROUP_BLOCKS(kind) * (kind).values)
#define GROUP_BYTES(kind) (GROUP_BLOCKS(kind) * (kind).bytes)

INLINE Ints dot_kind(const Kind kind, Ints sums, Bytes w, Bytes x) {
  return kind.bits == 8 ? dot_weight(sums, w, x) : dot_small(sums, w, x);
}

/* Where within a group the blocks of 32 numbers of a paired step lie. */
INLINE int block_of(const Kind kind, int step, int piece) {
  return kind.values == 256 ? 2 * (step / 2 * PIECES + piece) + step % 2 : piece;
}

#if defined(PICKS_BYTES)
#define CROSSED 1
#else
#define CROSSED -1
#endif

/* Three vectors reach over all, and each half is picked out of two of them: hence the one block whose halves change
   places. */
INLINE Step unpack_q8_0(const uint8_t *p, int step) {
  (void)step;
#if CROSSED == 1
  const Span begin = load_span(p, 128), all = {p, begin.first, loaded(load_bytes(p + 136 - BYTES))};
  const Bytes low = pick_pieces(&begin, 128, 2, 34 + 18, 70, 104), high = pick_pieces(&all, 136, 18, 34 + 2, 86, 120);
  return (Step){weight_bytes(low), weight_bytes(high), scales_of(&begin, 128, 0, 34), {0}};
#else
  const Span span = load_span(p, PIECES * 34);
  return (Step){weight_bytes(pieces_of(&span, PIECES * 34, 2, 34)), weight_bytes(pieces_of(&span, PIECES * 34, 18, 34)), scales_of(&span, PIECES * 34, 0, 34), {0}};
#endif
}

INLINE Step unpack_q4_0(const uint8_t *p, int step) {
  (void)step;
  const Span span = load_span(p, PIECES * 18);
  const Bytes both = pieces_of(&span, PIECES * 18, 2, 18);
  return (Step){both & 15, both >> 4, scales_of(&span, PIECES * 18, 0, 18), {0}};
}

INLINE Step unpack_q4_1(const uint8_t *p, int step) {
  (void)step;
  const Span span = load_span(p, PIECES * 20);
  const Bytes both = pieces_of(&span, PIECES * 20, 4, 20);
  return (Step){both & 15, both >> 4, scales_of(&span, PIECES * 20, 0, 20), scales_of(&span, PIECES * 20, 2, 20)};
}

/* v + 16 where the bit of a byte's number is set in the 16 bits of its piece, `stride` apart */
INLINE Bytes add_fifth_bits(Bytes v, const uint8_t *bits, const int stride) {
  uint16_t each[PIECES];
  UNROLL for (int i = 0; i < PIECES; i++) memcpy(&each[i], bits + i * stride, 2);
#if WIDTH == 16
  uint64_t set = each[0] | (uint64_t)each[1] << 16 | (uint64_t)each[2] << 32 | (uint64_t)each[3] << 48;
  return (Bytes)_mm512_mask_add_epi8((__m512i)v, set, (__m512i)v, _mm512_set1_epi8(16));
#elif WIDTH == 8
  const __m256i spread = _mm256_set_m128i(_mm_set1_epi16((int16_t)each[1]), _mm_set1_epi16((int16_t)each[0]));
  const __m256i from = _mm256_set_epi64x(0x0101010101010101, 0, 0x0101010101010101, 0);
  const Bytes one_each = (Bytes)_mm256_set1_epi64x((int64_t)0x8040201008040201);
  return v + ((Bytes)(((Bytes)_mm256_shuffle_epi8(spread, from) & one_each) != 0) & 16);
#else
  Longs spread;
  UNROLL for (int i = 0; i < 2 * PIECES; i++) spread[i] = (each[i / 2] >> i % 2 * 8 & 255) * 0x0101010101010101u;
  const Longs one_each = 0x8040201008040201u - (Longs){0};
  return v + ((Bytes)(((Bytes)(spread & one_each)) != 0) & 16);
#endif
}

INLINE Step unpack_q5_0(const uint8_t *p, int step) {
  (void)step;
  const Span span = load_span(p, PIECES * 22);
  const Bytes both = pieces_of(&span, PIECES * 22, 6, 22);
  return (Step){add_fifth_bits(both & 15, p + 2, 22), add_fifth_bits(both >> 4, p + 4, 22), scales_of(&span, PIECES * 22, 0, 22), {0}};
}

INLINE Step unpack_q5_1(const uint8_t *p, int step) {
  (void)step;
  const Span span = load_span(p, PIECES * 24);
  const Bytes both = pieces_of(&span, PIECES * 24, 8, 24);
  return (Step){add_fifth_bits(both & 15, p + 4, 24), add_fifth_bits(both >> 4, p + 6, 24), scales_of(&span, PIECES * 24, 0, 24),
                scales_of(&span, PIECES * 24, 2, 24)};
}

/* The 8 scales and 8 minima of 6 bits, times their common f16 numbers. The first twelve bytes hold in this order: the
   low 6 bits of scales 0 .. 3, of minima 0 .. 3, low 4 bits of scales and minima 4 .. 7; what those lack stands in the
   upper two bits of the first eight. */
INLINE Sixteen k_scales(const uint8_t *p) {
  typedef uint32_t FourWords __attribute__((vector_size(16)));
  const FourWords shift = {0, 0, 0, 4}, low_bits = {0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f};
  const FourWords upper_bits = {0, 0x30303030, 0, 0x30303030};
  FourWords in = (FourWords)load_sixteen(p + 4);
  FourWords low = __builtin_shufflevector(in, in, 0, 2, 1, 2), upper = __builtin_shufflevector(in, in, 0, 0, 1, 1);
  Sixteen sixteen = sixteen_of((SixteenBytes)((low >> shift & low_bits) | (upper >> 2 & upper_bits)), false);
  scale_halves(&sixteen, p, p + 2);
  return sixteen;
}

/* 32 bytes hold two blocks of 32 numbers, one in their low halves, the next in their high halves. */
INLINE Step unpack_k(const uint8_t *p, const uint8_t *numbers, int step) {
  const int first = step / 2 * PIECES;
  Sixteen scales = k_scales(p);
  const Span span = load_span(numbers + 32 * first, PIECES * 32);
  Bytes low = pieces_of(&span, PIECES * 32, 0, 32), high = pieces_of(&span, PIECES * 32, 16, 32);
  if (step % 2 == 0) low &= 15, high &= 15;
  else low >>= 4, high >>= 4;
  const int block = 2 * first + step % 2;
  return (Step){low, high, pick_lanes(&scales, block, 2), pick_lanes(&scales, 8 + block, 2)};
}

INLINE Step unpack_q4_k(const uint8_t *p, int step) { return unpack_k(p, p + 16, step); }

/* Bit b of byte i of the 32 after the scales is the fifth of number i of block b. */
INLINE Step unpack_q5_k(const uint8_t *p, int step) {
  Step s = unpack_k(p, p + 48, step);
  const uint8_t first = (uint8_t)(1 << (2 * (step / 2 * PIECES) + step % 2));
  const Bytes bit = per_piece(first, (uint8_t)(first << 2), (uint8_t)(first << 4), (uint8_t)(first << 6));
  s.low += (Bytes)((repeat_piece(p + 16) & bit) != 0) & 16;
  s.high += (Bytes)((repeat_piece(p + 32) & bit) != 0) & 16;
  return s;
}

/* The upper two of 6 bits, in their place: those of quarter q (0 .. 3) of 128 numbers are bits 2q and 2q + 1. */
INLINE Bytes upper_two(const uint8_t *p, int quarter) {
#if WIDTH == 16
  Shorts bits = (Shorts)repeat_two_pieces(p), by = {0};
  UNROLL for (int i = 0; i < 16; i++) by[16 + i] = 2;
  bits = quarter == 0 ? bits << (4 - by) : bits >> by;
#else
  Shorts bits = (Shorts)load_bytes(p);
  if (quarter < 2) bits <<= 4 - 2 * quarter;
  else bits >>= 2 * quarter - 4;
#endif
  return (Bytes)bits & 0x30;
}

/* 128 numbers take 64 bytes of lower halves (numbers 0 .. 63, then 64 .. 127) and 32 of upper two bits. */
INLINE Step unpack_q6_k(const uint8_t *p, int step) {
  const int half = step * BYTES / 128, at = step * BYTES % 128;
  Bytes lower = load_bytes(p + 64 * half + at % 64);
  lower = at < 64 ? lower & 15 : lower >> 4;
  Sixteen scales = sixteen_of(load_sixteen(p + 192), true);
  float scale = half_at(p + 208);
  UNROLL for (int i = 0; i < 16 / WIDTH; i++) scales.numbers[i] *= scale;
  Step s = {lower | upper_two(p + 128 + 32 * half + at % 32, at / 32), {0}, pick_lanes(&scales, step * PIECES, 1), {0}};
  return s;
}

/* DO(name, kind) for each of them */
#define GPT_BLOCK_KINDS(DO)                                                      \
  DO(q8_0, ((Kind){32, 34, 8, WEIGHT_START, false, true, CROSSED, unpack_q8_0})) \
  DO(q4_0, ((Kind){32, 18, 4, 8, false, true, -1, unpack_q4_0}))                 \
  DO(q4_1, ((Kind){32, 20, 4, 0, true, true, -1, unpack_q4_1}))                  \
  DO(q5_0, ((Kind){32, 22, 5, 16, false, true, -1, unpack_q5_0}))                \
  DO(q5_1, ((Kind){32, 24, 5, 0, true, true, -1, unpack_q5_1}))                  \
  DO(q4_k, ((Kind){256, 144, 4, 0, true, true, -1, unpack_q4_k}))                \
  DO(q5_k, ((Kind){256, 176, 5, 0, true, true, -1, unpack_q5_k}))                \
  DO(q6_k, ((Kind){256, 210, 6, 32, false, false, -1, unpack_q6_k}))

#endif
