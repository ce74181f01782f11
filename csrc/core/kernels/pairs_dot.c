/*
 * Products of some rows with weights of 16 bits stored [out, in], on processors that multiply pairs of bf16: the input
 * is rounded to bf16, f16 weights are on the way. Fewer rows take no time worth it and stay f32 (halves_dot.c). The
 * order of an element's sum depends on k alone.
 */
#include "core/kernels/dot.h"
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"

#if defined(HAS_PAIRS)

#define MANY 16 /* rows up to which this is faster than panels, as measured */
#define STEP (2 * WIDTH)

INLINE Ints round_pairs(const float *p) { return to_bf16(load(p), load(p + WIDTH)); }

INLINE Ints load_pairs(const char *p, const bool f16) {
  Ints pairs;
  if (f16) return to_bf16(from_f16(load_halves(p)), from_f16(load_halves(p + 2 * WIDTH)));
  memcpy(&pairs, p, sizeof pairs);
  return pairs;
}

INLINE void store_pairs(char *to, Ints pairs) { memcpy(to, &pairs, sizeof pairs); }

static int64_t input_bytes(int64_t k) { return (k + STEP - 1) / STEP * STEP * 2; }

/* A row in bf16, zeros up to a whole step */
static void prepare_pairs(void *to, const float *x, int64_t k) {
  float rest[STEP] = {0};
  int64_t p = 0;
  for (; p + STEP <= k; p += STEP) store_pairs((char *)to + 2 * p, round_pairs(x + p));
  if (p == k) return;
  memcpy(rest, x + p, (size_t)(k - p) * sizeof *rest);
  store_pairs((char *)to + 2 * p, round_pairs(rest));
}

INLINE void add_pairs(const bool f16, Vec sums[DOT_MOST][DOT_ROWS], const GptFewRows *o, const char *x,
                      const char *const w[DOT_ROWS], const int M) {
  Ints pairs[DOT_ROWS];
  UNROLL for (int r = 0; r < DOT_ROWS; r++) pairs[r] = load_pairs(w[r], f16);
  UNROLL for (int i = 0; i < M; i++) {
    const Ints row = load_pairs(x + i * o->x_bytes, false);
    UNROLL for (int r = 0; r < DOT_ROWS; r++) sums[i][r] = dot_pairs(sums[i][r], pairs[r], row);
  }
}

/* M rows of the input from row i by rows j and j + apart of the weight */
INLINE void dot_rows(const bool f16, const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  const char *x = (const char *)o->x + i * o->x_bytes, *from = (const char *)o->w + j * o->w_bytes;
  Vec sums[DOT_MOST][DOT_ROWS] = {{{0}}};
  int64_t p = 0;
  for (; p + STEP <= o->k; p += STEP)
    add_pairs(f16, sums, o, x + 2 * p, (const char *[DOT_ROWS]){from + 2 * p, from + apart * o->w_bytes + 2 * p}, M);
  if (p < o->k) {
    char rest[DOT_ROWS][2 * STEP] = {{0}};
    for (int r = 0; r < DOT_ROWS; r++) memcpy(rest[r], from + r * apart * o->w_bytes + 2 * p, (size_t)(o->k - p) * 2);
    add_pairs(f16, sums, o, x + 2 * p, (const char *[DOT_ROWS]){rest[0], rest[1]}, M);
  }
  store_dots(o, sums, i, j, apart, M);
}

INLINE void dot_f16(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  dot_rows(true, o, i, j, apart, M);
}

INLINE void dot_bf16(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  dot_rows(false, o, i, j, apart, M);
}

static void multiply_pairs_f16(const GptFewRows *o, int64_t first, int64_t last) { dot_all(dot_f16, o, first, last); }
static void multiply_pairs_bf16(const GptFewRows *o, int64_t first, int64_t last) { dot_all(dot_bf16, o, first, last); }

const GptFewRowsKernels gpt_kernel(some_f16) = {MANY, 0, input_bytes, prepare_pairs, multiply_pairs_f16, NULL},
                        gpt_kernel(some_bf16) = {MANY, 0, input_bytes, prepare_pairs, multiply_pairs_bf16, NULL};

#endif
