/*
 * Products of many rows with weights in blocks. A panel is WIDTH rows of the weight, unpacked to bytes: four numbers of
 * each row, then the next four, and after each block of numbers with one scale the rows' scales (and minima). Of numbers
 * of 4 bits the second half of a block stands in the upper bits of the first half's bytes. The input is brought to 8
 * bits, and TALL rows of it stand together in the same way. Sums of a block stay whole numbers; the sum over the blocks
 * is in floats, in their order, so it depends on k alone.
 */
#include "core/kernels/ahead.h"
#include "core/kernels/blocks.h"
#include "core/kernels/quantise.h"
#include "core/kernels/table.h"
#include "core/kernels/transpose.h"

/* Rows of the input at once: two sums for each, a vector of weights and some more fit in 32 registers, or in 16. */
#if WIDTH == 16 || defined(__aarch64__)
#define TALL 12
#else
#define TALL 4
#endif
#define MOST_TALL 12

/* Numbers that share a scale, and the vectors of bytes that hold them in a panel */
#define SHARED(kind) ((kind).paired ? 32 : 16)
#define NIBBLES(kind) ((kind).paired && (kind).bits == 4)
#define VECTORS(kind) (SHARED(kind) / (NIBBLES(kind) ? 8 : 4))
/* Scales (and minima) are f16 as in the block, or floats where they are products. */
#define HALF_SCALES(kind) ((kind).values == 32)
#define SCALE_BYTES(kind) (HALF_SCALES(kind) ? 2 : 4)
#define PANEL_RECORD(kind) (VECTORS(kind) * BYTES + SCALE_BYTES(kind) * WIDTH * ((kind).minima ? 2 : 1))
/* Bytes of a row before they are turned */
#define UNPACKED(kind) ((kind).paired && !NIBBLES(kind) ? 2 * BYTES : BYTES)
/* For each of m rows the bytes, the scale, and either the sum to begin with or (for minima) the sum of the numbers. */
#define INPUT_RECORD(kind, m) ((SHARED(kind) + 8) * (m))

INLINE int64_t steps_of(const Kind kind, int64_t k) {
  return (k + GROUP_VALUES(kind) - 1) / GROUP_VALUES(kind) * STEPS(kind);
}

INLINE int64_t kept_bytes(const Kind kind, int64_t k) { return (k / SHARED(kind) * PANEL_RECORD(kind) + 63) / 64 * 64; }

/* Behind the records lie the rows that they are made of. */
INLINE int64_t panel_bytes(const Kind kind, int64_t k) {
  return kept_bytes(kind, k) + steps_of(kind, k) * UNPACKED(kind) * WIDTH;
}

/* The block with one scale over piece j of step number s of the row; past the end of the row for what fills it up */
INLINE int64_t shared_block(const Kind kind, int64_t s, int piece) {
  const int64_t group = s / STEPS(kind);
  if (!kind.paired) return s * PIECES + piece;
  return group * (GROUP_VALUES(kind) / 32) + block_of(kind, (int)(s % STEPS(kind)), piece);
}

/* The scales of a step (of the group w) to their places in the panel */
INLINE void put_scales(const Kind kind, uint8_t *panel, const Step *step, const uint8_t *w, int64_t s, int64_t blocks,
                       int64_t row) {
  float scales[WIDTH], minima[WIDTH];
  store(scales, step->scale);
  store(minima, step->least);
  for (int piece = 0; piece < PIECES; piece++) {
    int64_t b = shared_block(kind, s, piece);
    if (b >= blocks) continue;
    const uint8_t *halves = w + piece * kind.bytes;
    uint8_t *to = panel + b * PANEL_RECORD(kind) + VECTORS(kind) * BYTES + SCALE_BYTES(kind) * row;
    memcpy(to, HALF_SCALES(kind) ? (const void *)halves : &scales[4 * piece], SCALE_BYTES(kind));
    if (!kind.minima) continue;
    memcpy(to + SCALE_BYTES(kind) * WIDTH, HALF_SCALES(kind) ? (const void *)(halves + 2) : &minima[4 * piece],
           SCALE_BYTES(kind));
  }
}

INLINE void unpack_step(const Kind kind, uint8_t *to, uint8_t *panel, const uint8_t *w, int64_t s, int64_t blocks,
                        int64_t row, const int step) {
  Step unpacked = kind.unpack(w, step);
  store_bytes(to, NIBBLES(kind) ? unpacked.low | unpacked.high << 4 : unpacked.low);
  if (UNPACKED(kind) > BYTES) store_bytes(to + BYTES, unpacked.high);
  put_scales(kind, panel, &unpacked, w, s, blocks, row);
}

/* A row of the weight: its bytes in the order of the steps, its scales to their places in the panel. */
INLINE void unpack_row(const Kind kind, uint8_t *to, uint8_t *panel, const uint8_t *w, int64_t k, int64_t row) {
  const int64_t groups = k / GROUP_VALUES(kind), rest = k % GROUP_VALUES(kind), blocks = k / SHARED(kind);
  int64_t s = 0;
  for (int64_t g = 0; g < groups; g++, w += GROUP_BYTES(kind), s += STEPS(kind))
    UNROLL for (int step = 0; step < 16; step++)
      if (step < STEPS(kind))
        unpack_step(kind, to + (s + step) * UNPACKED(kind), panel, w, s + step, blocks, row, step);
  if (GROUP_BLOCKS(kind) > 1 && rest > 0) {
    uint8_t copy[GROUP_BYTES(kind)];
    memset(copy, 0, sizeof copy);
    memcpy(copy, w, (size_t)(rest / kind.values * kind.bytes));
    unpack_step(kind, to + s * UNPACKED(kind), panel, copy, s, blocks, row, 0);
  }
}

/* A vector of each row becomes a vector for each four numbers. half: 0, or 1 for the second half of blocks */
INLINE void turn_step(const Kind kind, uint8_t *panel, const uint8_t *rows, int64_t row_bytes, int64_t s, int64_t blocks,
                      const int half) {
  Ints square[WIDTH];
  UNROLL for (int r = 0; r < WIDTH; r++) square[r] = load_ints(rows + r * row_bytes);
  transpose(square);
  UNROLL for (int piece = 0; piece < PIECES; piece++) {
    int64_t b = shared_block(kind, s, piece);
    uint8_t *to = panel + b * PANEL_RECORD(kind) + (piece == kind.crossed ? 1 - half : half) * 4 * BYTES;
    if (b < blocks) UNROLL for (int i = 0; i < 4; i++) store_ints(to + i * BYTES, square[4 * piece + i]);
  }
}

INLINE void pack(const Kind kind, uint8_t *panel, const GptLines *w, int64_t rows, int64_t k) {
  const int64_t steps = steps_of(kind, k), row_bytes = steps * UNPACKED(kind), blocks = k / SHARED(kind);
  uint8_t *unpacked = panel + panel_bytes(kind, k) - WIDTH * row_bytes;
  for (int64_t r = 0; r < rows; r++)
    unpack_row(kind, unpacked + r * row_bytes, panel, (const uint8_t *)w->data + r * w->bytes, k, r);
  for (int64_t r = rows; r < WIDTH; r++) memcpy(unpacked + r * row_bytes, unpacked, (size_t)row_bytes);
  for (int64_t s = 0; s < steps; s++) {
    const uint8_t *from = unpacked + s * UNPACKED(kind);
    turn_step(kind, panel, from, row_bytes, s, blocks, 0);
    if (UNPACKED(kind) > BYTES) turn_step(kind, panel, from + BYTES, row_bytes, s, blocks, 1);
  }
}

/* How many rows a group of m stands for: there is code for some sizes only. */
INLINE int64_t group_size(int64_t m) { return m <= 2 ? m : m <= 4 ? 4 : m <= 8 ? 8 : 12; }

/* What shares a scale in one row of the input, row t of m. */
INLINE void put_input(const Kind kind, uint8_t *record, const int8_t *bytes, float scale, int32_t sum, int64_t t,
                      int64_t m) {
  for (int i = 0; i < SHARED(kind); i += 4) memcpy(record + i * m + 4 * t, bytes + i, 4);
  uint8_t *rest = record + SHARED(kind) * m + 4 * t;
  const float total = scale * (float)sum;
  const int32_t start = -kind.zero * sum;
  memcpy(rest, &scale, 4);
  memcpy(rest + 4 * m, kind.minima ? (const void *)&total : &start, 4);
}

INLINE int64_t group_bytes(const Kind kind, int64_t m, int64_t k) {
  return (k / SHARED(kind) * INPUT_RECORD(kind, group_size(m)) + 63) / 64 * 64;
}

/* The rows beyond m are zeros: their sums are not used, but computed. */
INLINE void pack_input(const Kind kind, uint8_t *to, const GptLines *x, int64_t m, int64_t k) {
  const int64_t size = group_size(m);
  int8_t bytes[32];
  if (size > m) memset(to, 0, (size_t)group_bytes(kind, m, k));
  for (int64_t b = 0; b < k / 32; b++, to += 32 / SHARED(kind) * INPUT_RECORD(kind, size))
    for (int64_t t = 0; t < m; t++) {
      const BlockScale s = quantise_block(bytes, (const float *)((const char *)x->data + t * x->bytes) + 32 * b);
      if (SHARED(kind) == 32) put_input(kind, to, bytes, s.scale, sum_ints(s.halves[0] + s.halves[1]), t, size);
      else
        for (int i = 0; i < 2; i++)
          put_input(kind, to + i * INPUT_RECORD(kind, size), bytes + 16 * i, s.scale, sum_ints(s.halves[i]), t, size);
    }
}

/* Numbers 4 i .. 4 i + 3 of a block of the panel's rows */
INLINE Bytes panel_bytes_at(const Kind kind, const uint8_t *panel, int i) {
  if (!NIBBLES(kind)) return load_bytes(panel + i * BYTES);
  return i < 4 ? load_bytes(panel + i * BYTES) & 15 : load_bytes(panel + (i - 4) * BYTES) >> 4;
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
/* Numbers 4 i .. 4 i + 7 of rows t and t + 1 of the input */
INLINE int8x16_t two_eights(const uint8_t *x, int i, int t, const int M) {
  const int32x2_t first = vld1_s32((const int32_t *)(const void *)(x + 4 * (i * M + t)));
  const int32x2_t second = vld1_s32((const int32_t *)(const void *)(x + 4 * ((i + 1) * M + t)));
  return (int8x16_t)vcombine_s32(vzip1_s32(first, second), vzip2_s32(first, second));
}

/* The panel's rows 0 and 1, then 2 and 3, by rows t and t + 1 of the input: eight numbers of each are one instruction. */
INLINE void dot_square(const Kind kind, Ints *whole, const uint8_t *panel, const uint8_t *x, int t, const int M) {
  Ints low = __builtin_shufflevector(whole[t], whole[t + 1], 0, 4, 1, 5);
  Ints high = __builtin_shufflevector(whole[t], whole[t + 1], 2, 6, 3, 7);
  UNROLL for (int i = 0; i < 8; i += 2) {
    if (i == SHARED(kind) / 4) break;
    const Ints a = (Ints)panel_bytes_at(kind, panel, i), b = (Ints)panel_bytes_at(kind, panel, i + 1);
    const Ints first = __builtin_shufflevector(a, b, 0, 4, 1, 5), second = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const int8x16_t two = two_eights(x, i, t, M);
    low = (Ints)vmmlaq_s32((int32x4_t)low, (int8x16_t)first, two);
    high = (Ints)vmmlaq_s32((int32x4_t)high, (int8x16_t)second, two);
  }
  whole[t] = __builtin_shufflevector(low, high, 0, 2, 4, 6);
  whole[t + 1] = __builtin_shufflevector(low, high, 1, 3, 5, 7);
}

/* Where there is one row, what comes of the bytes behind each of its fours as a second is left. */
INLINE void dot_block(const Kind kind, Ints *whole, const uint8_t *panel, const uint8_t *x, const int M) {
  Ints pair[2] = {whole[0]};
  if (M == 1) dot_square(kind, pair, panel, x, 0, M);
  if (M == 1) whole[0] = pair[0];
  UNROLL for (int t = 0; t + 1 < M; t += 2) dot_square(kind, whole, panel, x, t, M);
}
#else
/* whole[t] += the products of a block of the panel's rows by that of row t of the input */
INLINE void dot_block(const Kind kind, Ints *whole, const uint8_t *panel, const uint8_t *x, const int M) {
  UNROLL for (int i = 0; i < 8; i++) {
    if (i == SHARED(kind) / 4) break;
    const Bytes w = panel_bytes_at(kind, panel, i);
    UNROLL for (int t = 0; t < M; t++) whole[t] = dot_kind(kind, whole[t], w, repeat_four(x + 4 * (i * M + t)));
  }
}
#endif

INLINE Vec scales_at(const Kind kind, const uint8_t *p) {
  return HALF_SCALES(kind) ? from_f16(load_halves(p)) : load((const float *)p);
}

/* M rows of the input by a panel of n rows of the weight */
INLINE void multiply(const Kind kind, const GptPanelProduct *o, const int M) {
  const uint8_t *panel = o->panel, *x = o->x;
  const float *bias = o->bias;
  const int64_t n = o->n, k = o->k;
  Ahead ahead = ahead_of(o);
  Vec sums[MOST_TALL], first = {0};
  if (bias != NULL) first = n >= WIDTH ? load(bias) : load_part(bias, n, first);
  UNROLL for (int t = 0; t < M; t++) sums[t] = first;
  for (int64_t b = 0; b < k / SHARED(kind); b++, panel += PANEL_RECORD(kind), x += INPUT_RECORD(kind, M)) {
    ask_ahead(&ahead, PANEL_RECORD(kind), M);
    const float *scales = (const float *)(x + SHARED(kind) * M), *rest = scales + M;
    Ints whole[MOST_TALL];
    UNROLL for (int t = 0; t < M; t++) whole[t] = kind.zero != 0 ? (Ints)repeat_four(rest + t) : (Ints){0};
    dot_block(kind, whole, panel, x, M);
    const Vec scale = scales_at(kind, panel + VECTORS(kind) * BYTES);
    UNROLL for (int t = 0; t < M; t++) sums[t] += to_floats(whole[t]) * (scale * scales[t]);
    if (kind.minima) {
      const Vec least = scales_at(kind, panel + VECTORS(kind) * BYTES + SCALE_BYTES(kind) * WIDTH);
      UNROLL for (int t = 0; t < M; t++) sums[t] += least * rest[t];
    }
  }
  UNROLL for (int t = 0; t < M; t++) {
    float *to = o->y + t * o->ldy;
    if (t >= o->m) break;
    if (n >= WIDTH) store(to, sums[t]);
    else store_part(to, n, sums[t]);
  }
}

INLINE void multiply_any(const Kind kind, const GptPanelProduct *o) {
  switch (group_size(o->m)) {
    case 1: multiply(kind, o, 1); break;
    case 2: multiply(kind, o, 2); break;
    case 4: multiply(kind, o, 4); break;
#if TALL > 4
    case 8: multiply(kind, o, 8); break;
    case 12: multiply(kind, o, 12); break;
#endif
    default: break;
  }
}

#define DEFINE(name, kind)                                                                                            \
  static int64_t panel_bytes_##name(int64_t k) { return panel_bytes(kind, k); }                                       \
  static int64_t kept_bytes_##name(int64_t k) { return kept_bytes(kind, k); }                                         \
  static void pack_##name(void *panel, const GptLines *w, int64_t rows, int64_t k) { pack(kind, panel, w, rows, k); } \
  static int64_t group_bytes_##name(int64_t m, int64_t k) { return group_bytes(kind, m, k); }                         \
  static void pack_input_##name(void *to, const GptLines *x, int64_t m, int64_t k) { pack_input(kind, to, x, m, k); } \
  static void multiply_##name(const GptPanelProduct *o) { multiply_any(kind, o); }                                    \
  const GptWeightPanels gpt_kernel(panels_##name) = {                                                                 \
      WIDTH, TALL, 0, panel_bytes_##name, kept_bytes_##name, pack_##name, group_bytes_##name, pack_input_##name,      \
      multiply_##name};

GPT_BLOCK_KINDS(DEFINE)
