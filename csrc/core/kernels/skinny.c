/*
 * Products with few rows: their time is that of reading the weights, so each weight is read from memory once.
 * The order of an element's sum depends on k alone, so that neither m nor the cut changes it.
 */
#include "core/kernels/table.h"

#define MOST_ROWS 3 /* rows of x and of w at once: 12 sums, 3 vectors of x and one of w fill 16 registers */
#define MOST_OUT 4

/* M rows of x by J rows of w, the first of them w and the first output y. */
INLINE void rows_block(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                       const float *bias, int64_t k, const int M, const int J) {
  Vec sums[MOST_ROWS][MOST_OUT] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= k; p += WIDTH) {
    Vec xs[MOST_ROWS];
    for (int i = 0; i < M; i++) xs[i] = load(x + i * ldx + p);
    for (int j = 0; j < J; j++) {
      Vec row = load(w + j * ldw + p);
      for (int i = 0; i < M; i++) sums[i][j] += xs[i] * row;
    }
  }
  for (int j = 0; j < J; j++) {
    for (int i = 0; i < M; i++) {
      if (p < k) sums[i][j] += load_part(x + i * ldx + p, k - p, all(0)) * load_part(w + j * ldw + p, k - p, all(0));
      y[i * ldy + j] = sum_lanes(sums[i][j]) + (bias != NULL ? bias[j] : 0.0f);
    }
  }
}

/* All m rows of x by J rows of w: these come from memory for the first rows of x, from the cache for the others. */
INLINE void rows_strip(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                       const float *bias, int64_t m, int64_t k, const int J) {
  int64_t i = 0;
  for (; i + 3 <= m; i += 3) rows_block(y + i * ldy, ldy, x + i * ldx, ldx, w, ldw, bias, k, 3, J);
  if (m - i == 2) rows_block(y + i * ldy, ldy, x + i * ldx, ldx, w, ldw, bias, k, 2, J);
  if (m - i == 1) rows_block(y + i * ldy, ldy, x + i * ldx, ldx, w, ldw, bias, k, 1, J);
}

void gpt_kernel(skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                             const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  int64_t j = first;
  for (; j + MOST_OUT <= last; j += MOST_OUT)
    rows_strip(y + j, ldy, x, ldx, w + j * ldw, ldw, bias != NULL ? bias + j : NULL, m, k, MOST_OUT);
  for (; j < last; j++) rows_strip(y + j, ldy, x, ldx, w + j * ldw, ldw, bias != NULL ? bias + j : NULL, m, k, 1);
}

#define DEEP 4     /* rows of w at once in skinny_columns */
#define STRIP 1024 /* columns whose sums stay in the cache */

/* y[j] += x[0] w[0, j] + .. + x[D-1] w[D-1, j], added from left to right */
INLINE void add_rows(float *y, const float *x, const float *w, int64_t ldw, int64_t n, const int D) {
  Vec xs[DEEP];
  int64_t j = 0;
  for (int d = 0; d < D; d++) xs[d] = all(x[d]);
  for (; j + 2 * WIDTH <= n; j += 2 * WIDTH) {
    Vec low = load(y + j), high = load(y + j + WIDTH);
    for (int d = 0; d < D; d++) {
      low += xs[d] * load(w + d * ldw + j);
      high += xs[d] * load(w + d * ldw + j + WIDTH);
    }
    store(y + j, low);
    store(y + j + WIDTH, high);
  }
  for (; j < n; j++) {
    float sum = y[j];
    for (int d = 0; d < D; d++) sum += x[d] * w[d * ldw + j];
    y[j] = sum;
  }
}

/* The columns of one strip: y and w at its first column. */
static void columns_strip(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                          const float *bias, int64_t m, int64_t k, int64_t n) {
  size_t bytes = (size_t)n * sizeof *y;
  for (int64_t i = 0; i < m; i++) {
    if (bias != NULL) memcpy(y + i * ldy, bias, bytes);
    else memset(y + i * ldy, 0, bytes);
  }
  int64_t p = 0;
  for (; p + DEEP <= k; p += DEEP)
    for (int64_t i = 0; i < m; i++) add_rows(y + i * ldy, x + i * ldx + p, w + p * ldw, ldw, n, DEEP);
  for (; p < k; p++)
    for (int64_t i = 0; i < m; i++) add_rows(y + i * ldy, x + i * ldx + p, w + p * ldw, ldw, n, 1);
}

void gpt_kernel(skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                                const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  for (int64_t j = first; j < last; j += STRIP) {
    int64_t n = last - j < STRIP ? last - j : STRIP;
    columns_strip(y + j, ldy, x, ldx, w + j, ldw, bias != NULL ? bias + j : NULL, m, k, n);
  }
}
