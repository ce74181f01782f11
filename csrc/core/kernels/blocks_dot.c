/*
 * Products of few rows with weights in blocks. The input is brought to whole numbers of 8 bits, a scale for each 32 of
 * them (as llama.cpp does), in the order in which the weights are unpacked; then four products a lane are one
 * instruction. The order of an element's sum depends on k alone.
 */
#include "core/kernels/blocks.h"
#include "core/kernels/dot.h"
#include "core/kernels/quantise.h"
#include "core/kernels/table.h"

#define MANY 8 /* rows up to which this is faster than panels, as measured */

/* What a step needs of the input: the bytes, their scales, and either the sums to begin with or (for minima) the sums
   of each lane's numbers. */
#define RECORD(kind) (STEP_VALUES(kind) + 2 * BYTES)

INLINE int64_t groups_of(const Kind kind, int64_t k) { return (k + GROUP_VALUES(kind) - 1) / GROUP_VALUES(kind); }

INLINE int64_t records_bytes(const Kind kind, int64_t k) { return groups_of(kind, k) * STEPS(kind) * RECORD(kind); }

/* Behind the records lies what they are made of. */
INLINE int64_t input_bytes(const Kind kind, int64_t k) {
  return records_bytes(kind, k) + (k + k / 32 * (int64_t)sizeof(float) + 63) / 64 * 64;
}

/* The rest of a record, whose bytes and scales are there. */
INLINE void finish_record(const Kind kind, uint8_t *record) {
  uint8_t *scales = record + STEP_VALUES(kind);
  const Bytes ones = all_bytes(1);
  Ints sums = dot_small((Ints){0}, ones, load_bytes(record));
  if (kind.paired) sums = dot_small(sums, ones, load_bytes(record + BYTES));
  if (kind.minima) store((float *)(scales + BYTES), to_floats(sums) * load((float *)scales));
  else store_ints(scales + BYTES, -kind.zero * sums);
}

/* Blocks begin .. end-1 of the input. */
typedef struct Part {
  const Quantised *x;
  int64_t begin, end;
} Part;

INLINE bool part_has(const Part *part, int64_t b) { return b >= part->begin && b < part->end; }

/* One piece of a record: 16 numbers of block b, from `from` on, at byte `at`; zeros for blocks that the part has not. */
INLINE void put_piece(uint8_t *record, int64_t at, const Part *part, int64_t b, int from) {
  if (part_has(part, b)) memcpy(record + at, part->x->bytes + 32 * b + from, PIECE);
  else memset(record + at, 0, PIECE);
}

INLINE void put_scale(const Kind kind, uint8_t *record, int piece, const Part *part, int64_t b) {
  float scale = part_has(part, b) ? part->x->scales[b] : 0.0f;
  for (int i = 0; i < 4; i++) memcpy(record + STEP_VALUES(kind) + 16 * piece + 4 * i, &scale, sizeof scale);
}

INLINE void put_record(const Kind kind, uint8_t *record, const Part *part, int64_t first, int step) {
  for (int piece = 0; piece < PIECES; piece++) {
    const int position = step * BYTES + piece * PIECE;
    int64_t b = first + (kind.paired ? block_of(kind, step, piece) : position / 32);
    const int from = kind.paired ? (piece == kind.crossed ? 16 : 0) : position % 32;
    put_piece(record, piece * PIECE, part, b, from);
    if (kind.paired) put_piece(record, BYTES + piece * PIECE, part, b, 16 - from);
    put_scale(kind, record, piece, part, b);
  }
}

/* The rest of a row that is no whole number of groups is the row's last group, which reads some blocks again: of the
   input it has zeros there. */
INLINE void put_group(const Kind kind, uint8_t *records, const Quantised *x, int64_t k, int64_t g) {
  const int64_t group = GROUP_VALUES(kind) / 32, blocks = k / 32, last = blocks - group;
  const Part part = {x, g * group, blocks};
  const int64_t first = last >= 0 && last < part.begin ? last : part.begin;
  for (int s = 0; s < STEPS(kind); s++) put_record(kind, records + s * RECORD(kind), &part, first, s);
}

/* Records are finished when all are there: reading a whole vector just after its pieces were written takes the processor
   long. */
INLINE void prepare(const Kind kind, uint8_t *records, const float *x, int64_t k) {
  const int64_t count = groups_of(kind, k) * STEPS(kind);
  int8_t *bytes = (int8_t *)records + records_bytes(kind, k);
  const Quantised q = {bytes, (float *)(bytes + k)};
  quantise_row(q, x, k);
  for (int64_t g = 0; g < groups_of(kind, k); g++) put_group(kind, records + g * STEPS(kind) * RECORD(kind), &q, k, g);
  for (int64_t i = 0; i < count; i++) finish_record(kind, records + i * RECORD(kind));
}

/* sums += one step of the rows of the weight by M rows of the input */
INLINE void add_step(const Kind kind, Vec sums[DOT_MOST][DOT_ROWS], const GptFewRows *o, const uint8_t *x, const uint8_t *const w[DOT_ROWS],
                     int step, const int M) {
  Step s[DOT_ROWS];
  UNROLL for (int r = 0; r < DOT_ROWS; r++) s[r] = kind.unpack(w[r], step);
  UNROLL for (int i = 0; i < M; i++) {
    const uint8_t *record = x + i * o->x_bytes, *rest = record + STEP_VALUES(kind);
    const Bytes low = loaded(load_bytes(record)), high = kind.paired ? loaded(load_bytes(record + BYTES)) : low;
    const Vec scale = (Vec)loaded(load_bytes(rest));
    const Bytes begin = loaded(load_bytes(rest + BYTES));
    UNROLL for (int r = 0; r < DOT_ROWS; r++) {
      Ints whole = kind.zero != 0 ? (Ints)begin : (Ints){0};
      whole = dot_kind(kind, whole, s[r].low, low);
      if (kind.paired) whole = dot_kind(kind, whole, s[r].high, high);
      sums[i][r] += to_floats(whole) * (s[r].scale * scale);
      if (kind.minima) sums[i][r] += s[r].least * (Vec)begin;
    }
  }
}

/* M rows of the input from row i by rows j and j + apart of the weight. */
INLINE void dot_rows(const Kind kind, const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  const int64_t blocks = o->k / kind.values, whole = blocks / GROUP_BLOCKS(kind);
  const uint8_t *x = (const uint8_t *)o->x + i * o->x_bytes, *from = (const uint8_t *)o->w + j * o->w_bytes;
  const uint8_t *w[DOT_ROWS] = {from, from + apart * o->w_bytes};
  Vec sums[DOT_MOST][DOT_ROWS] = {{{0}}};
  for (int64_t g = 0; g < whole; g++) {
    UNROLL for (int s = 0; s < 16; s++)
      if (s < STEPS(kind)) add_step(kind, sums, o, x + s * RECORD(kind), w, s, M);
    x += STEPS(kind) * RECORD(kind);
    UNROLL for (int r = 0; r < DOT_ROWS; r++) w[r] += GROUP_BYTES(kind);
  }
  if (GROUP_BLOCKS(kind) > 1 && whole * GROUP_BLOCKS(kind) < blocks) {
    const int64_t bytes = (blocks - whole * GROUP_BLOCKS(kind)) * kind.bytes;
    uint8_t rest[DOT_ROWS][GROUP_BYTES(kind)];
    UNROLL for (int r = 0; r < DOT_ROWS; r++) {
      if (whole > 0) w[r] -= GROUP_BYTES(kind) - bytes;
      else w[r] = memcpy(memset(rest[r], 0, sizeof rest[r]), w[r], (size_t)bytes);
    }
    add_step(kind, sums, o, x, w, 0, M);
  }
  store_dots(o, sums, i, j, apart, M);
}

#define DEFINE(name, kind)                                                                                          \
  static int64_t input_bytes_##name(int64_t k) { return input_bytes(kind, k); }                                     \
  static void prepare_##name(void *to, const float *x, int64_t k) { prepare(kind, to, x, k); }                      \
  INLINE void dot_##name(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {                   \
    dot_rows(kind, o, i, j, apart, M);                                                                              \
  }                                                                                                                 \
  static void multiply_##name(const GptFewRows *o, int64_t first, int64_t last) { dot_all(dot_##name, o, first, last); } \
  const GptFewRowsKernels gpt_kernel(few_##name) = {MANY, 0, input_bytes_##name, prepare_##name, multiply_##name, NULL};

GPT_BLOCK_KINDS(DEFINE)
