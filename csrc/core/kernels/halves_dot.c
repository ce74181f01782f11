/*
 * Products of few rows with weights of 16 bits stored [out, in]. The order of an element's sum depends on k alone.
 */
#include "core/kernels/dot.h"
#include "core/kernels/pairs.h"
#include "core/kernels/table.h"

#if defined(HAS_PAIRS)
#define MANY 2 /* rows up to which this is as fast as pairs (pairs_dot.c) */
#else
#define MANY 8 /* rows up to which this is faster than converting the weight, */
#endif
#define MANY_ACROSS 8 /* and where it lies across, than panels */

typedef Vec (*Widen)(Halves);

/* sums += `count` (WIDTH, or fewer) numbers from p on of M rows of the input by the rows of the weight */
INLINE void add_numbers(const Widen widen_halves, Vec sums[DOT_MOST][DOT_ROWS], const GptFewRows *o, const char *x,
                        const char *const w[DOT_ROWS], int64_t p, int64_t count, const int M) {
  Vec numbers[DOT_ROWS];
  UNROLL for (int r = 0; r < DOT_ROWS; r++) {
    Halves h = {0};
    if (count == WIDTH) h = load_halves(w[r] + 2 * p);
    else memcpy(&h, w[r] + 2 * p, (size_t)count * 2);
    numbers[r] = widen_halves(h);
  }
  UNROLL for (int i = 0; i < M; i++) {
    const float *row = (const float *)(x + i * o->x_bytes) + p;
    Vec v = count == WIDTH ? load(row) : load_part(row, count, (Vec){0});
    UNROLL for (int r = 0; r < DOT_ROWS; r++) sums[i][r] += v * numbers[r];
  }
}

/* M rows of the input from row i by rows j and j + apart of the weight */
INLINE void dot_rows(const Widen widen_halves, const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  const char *x = (const char *)o->x + i * o->x_bytes, *from = (const char *)o->w + j * o->w_bytes;
  const char *const w[DOT_ROWS] = {from, from + apart * o->w_bytes};
  Vec sums[DOT_MOST][DOT_ROWS] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= o->k; p += WIDTH) add_numbers(widen_halves, sums, o, x, w, p, WIDTH, M);
  if (p < o->k) add_numbers(widen_halves, sums, o, x, w, p, o->k - p, M);
  store_dots(o, sums, i, j, apart, M);
}

INLINE void dot_f16(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  dot_rows(from_f16, o, i, j, apart, M);
}

INLINE void dot_bf16(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M) {
  dot_rows(from_bf16, o, i, j, apart, M);
}

static void multiply_halves_f16(const GptFewRows *o, int64_t first, int64_t last) {
  if (o->k <= GPT_SHORT_ROW) gpt_shared(short_rows_f16)(o, first, last);
  else dot_all(dot_f16, o, first, last);
}

static void multiply_halves_bf16(const GptFewRows *o, int64_t first, int64_t last) {
  if (o->k <= GPT_SHORT_ROW) gpt_shared(short_rows_bf16)(o, first, last);
  else dot_all(dot_bf16, o, first, last);
}

const GptFewRowsKernels gpt_kernel(few_f16) = {MANY, MANY_ACROSS, NULL, NULL, multiply_halves_f16,
                                               gpt_shared(columns_f16)},
                        gpt_kernel(few_bf16) = {MANY, MANY_ACROSS, NULL, NULL, multiply_halves_bf16,
                                                gpt_shared(columns_bf16)};
