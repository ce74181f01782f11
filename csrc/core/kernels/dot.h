/*
 * How products of few rows with weights stored [out, in] go about it: some rows of the input at once, by DOT_ROWS rows
 * of the weight far apart. Memory gives two streams faster than one, and much faster than neighbours.
 */
#ifndef GPT_DOT_H
#define GPT_DOT_H

#include "core/kernels/vector.h"
#include "core/kernels/weights.h"

#define DOT_ROWS 2
#if WIDTH == 16
#define DOT_MOST 8 /* rows of the input at once: two sums for each, and what a step needs, fit in 32 registers */
#else
#define DOT_MOST 4
#endif

/* M rows of the input from row i by rows j and j + apart of the weight; M is known when it is compiled. */
typedef void (*DotRows)(const GptFewRows *o, int64_t i, int64_t j, int64_t apart, const int M);

INLINE void store_dots(const GptFewRows *o, Vec sums[DOT_MOST][DOT_ROWS], int64_t i, int64_t j, int64_t apart, const int M) {
  UNROLL for (int m = 0; m < M; m++)
    UNROLL for (int r = 0; r < DOT_ROWS; r++) {
      int64_t column = j + r * apart;
      o->y[(i + m) * o->ldy + column] = sum_lanes(sums[m][r]) + (o->bias != NULL ? o->bias[column] : 0.0f);
    }
}

INLINE void dot_inputs(const DotRows dot_rows, const GptFewRows *o, int64_t j, int64_t apart) {
  int64_t i = 0;
  for (; i + DOT_MOST <= o->m; i += DOT_MOST) dot_rows(o, i, j, apart, DOT_MOST);
  if (DOT_MOST > 4 && i + 4 <= o->m) dot_rows(o, i, j, apart, 4), i += 4;
  if (i + 2 <= o->m) dot_rows(o, i, j, apart, 2), i += 2;
  if (i < o->m) dot_rows(o, i, j, apart, 1);
}

/* y[i, j] for all rows i and j in [first, last). Of an odd number of rows the middle one is computed twice. */
INLINE void dot_all(const DotRows dot_rows, const GptFewRows *o, int64_t first, int64_t last) {
  const int64_t half = (last - first) / 2;
  for (int64_t j = first; j < last - half; j++) dot_inputs(dot_rows, o, j, half);
}

#endif
