/*
 * Products with few rows: their time is that of reading the weights, so each weight is read from memory once, and
 * what comes next is asked for ahead. The order of an element's sum depends on k alone: neither m nor the cut
 * changes it.
 */
#include "core/kernels/table.h"

#define MOST GPT_SKINNY_ROWS
#define TALL 3      /* rows of x by */
#define WIDE 4      /* rows of w at once: with 12 sums, the 4 of w and one of x nearly fit in 16 registers */
#define DEEP 8      /* rows of w at once where they are added up column by column */
#define SUMS 4096   /* sums that stay in the cache meanwhile, */
#define STRIP(M) (SUMS / (M)) /* those of so many columns */

#define FETCH(p) __builtin_prefetch(p, 0, 2) /* for reading, into the second cache */

typedef struct Product {
  float *y;
  const float *x, *w, *bias;
  int64_t ldy, ldx, ldw, m, k;
} Product;

/* The last products of a row, fewer than WIDTH of them */
static __attribute__((noinline)) float dot_rest(const float *a, const float *b, int64_t n) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* M rows of x from row i0 by J rows of w from row j0. Of the J rows of w that follow, asks for those whose number is
   `share` modulo `shares`. */
INLINE void rows_block(const Product *o, int64_t i0, int64_t j0, const int M, const int J, const int share,
                       const int shares) {
  const int64_t k = o->k, ldx = o->ldx, ldw = o->ldw;
  const float *x = o->x + i0 * ldx, *w = o->w + j0 * ldw;
  Vec sums[TALL][WIDE] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= k; p += WIDTH) {
    Vec rows[WIDE];
    UNROLL for (int j = 0; j < J; j++) {
      rows[j] = load(w + j * ldw + p);
      if (j % shares == share) FETCH(w + (j + J) * ldw + p);
    }
    UNROLL for (int i = 0; i < M; i++) {
      Vec v = load(x + i * ldx + p);
      UNROLL for (int j = 0; j < J; j++) sums[i][j] += v * rows[j];
    }
  }
  UNROLL for (int i = 0; i < M; i++) {
    float *y = o->y + (i0 + i) * o->ldy + j0;
    UNROLL for (int j = 0; j < J; j++) {
      float sum = sum_lanes(sums[i][j]) + (o->bias != NULL ? o->bias[j0 + j] : 0.0f);
      y[j] = p < k ? sum + dot_rest(x + i * ldx + p, w + j * ldw + p, k - p) : sum;
    }
  }
}

/* All rows of x by J rows of w, which come from memory once and then from the cache. */
INLINE void rows_strip(const Product *o, int64_t j, const int J) {
  switch (o->m) {
    case 1: rows_block(o, 0, j, 1, J, 0, 1); break;
    case 2: rows_block(o, 0, j, 2, J, 0, 1); break;
    case 3: rows_block(o, 0, j, 3, J, 0, 1); break;
    case 4: rows_block(o, 0, j, 2, J, 0, 2), rows_block(o, 2, j, 2, J, 1, 2); break;
    case 5: rows_block(o, 0, j, 3, J, 0, 2), rows_block(o, 3, j, 2, J, 1, 2); break;
    case 6: rows_block(o, 0, j, 3, J, 0, 2), rows_block(o, 3, j, 3, J, 1, 2); break;
    case 7: rows_block(o, 0, j, 3, J, 0, 3), rows_block(o, 3, j, 2, J, 1, 3), rows_block(o, 5, j, 2, J, 2, 3); break;
    default: rows_block(o, 0, j, 3, J, 0, 3), rows_block(o, 3, j, 3, J, 1, 3), rows_block(o, 6, j, 2, J, 2, 3); break;
  }
}

void gpt_kernel(skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                             const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  const Product o = {y, x, w, bias, ldy, ldx, ldw, m, k};
  int64_t j = first;
  for (; j + WIDE <= last; j += WIDE) rows_strip(&o, j, WIDE);
  for (; j < last; j++) rows_strip(&o, j, 1);
}

/* sums[i, j] += x[i, 0] w[0, j] + .. + x[i, D-1] w[D-1, j], added from left to right, for M rows and V vectors of
   columns at once. Asks for the D rows of w that follow. */
INLINE void add_rows(float *sums, const float *x, int64_t ldx, const float *w, int64_t ldw, int64_t n, const int M,
                     const int D, const int V) {
  float factors[DEEP][MOST];
  for (int i = 0; i < M; i++)
    for (int d = 0; d < D; d++) factors[d][i] = x[i * ldx + d];
  int64_t j = 0;
  for (; j + V * WIDTH <= n; j += V * WIDTH) {
    Vec s[MOST][2], row[2];
    UNROLL for (int i = 0; i < M; i++)
      UNROLL for (int v = 0; v < V; v++) s[i][v] = load(sums + i * STRIP(M) + j + v * WIDTH);
    UNROLL for (int d = 0; d < D; d++) {
      FETCH(w + (d + D) * ldw + j);
      UNROLL for (int v = 0; v < V; v++) row[v] = load(w + d * ldw + j + v * WIDTH);
      UNROLL for (int i = 0; i < M; i++)
        UNROLL for (int v = 0; v < V; v++) s[i][v] += factors[d][i] * row[v];
    }
    UNROLL for (int i = 0; i < M; i++)
      UNROLL for (int v = 0; v < V; v++) store(sums + i * STRIP(M) + j + v * WIDTH, s[i][v]);
  }
  for (; j < n; j++)
    for (int i = 0; i < M; i++)
      for (int d = 0; d < D; d++) sums[i * STRIP(M) + j] += factors[d][i] * w[d * ldw + j];
}

/* The sums stand side by side in a place of their own: at y, whose rows may be a power of two apart, and beside
   rows of w that are, they would drive each other out of the cache. */
INLINE void columns_strip(const Product *o, int64_t j, int64_t n, const int M, const int V) {
  float sums[SUMS] __attribute__((aligned(64)));
  const float *w = o->w + j;
  size_t bytes = (size_t)n * sizeof *sums;
  for (int64_t i = 0; i < M; i++) {
    if (o->bias != NULL) memcpy(sums + i * STRIP(M), o->bias + j, bytes);
    else memset(sums + i * STRIP(M), 0, bytes);
  }
  int64_t p = 0;
  for (; p + DEEP <= o->k; p += DEEP) add_rows(sums, o->x + p, o->ldx, w + p * o->ldw, o->ldw, n, M, DEEP, V);
  for (; p < o->k; p++) add_rows(sums, o->x + p, o->ldx, w + p * o->ldw, o->ldw, n, M, 1, V);
  for (int64_t i = 0; i < M; i++) memcpy(o->y + i * o->ldy + j, sums + i * STRIP(M), bytes);
}

void gpt_kernel(skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                                const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  const Product o = {y, x, w, bias, ldy, ldx, ldw, m, k};
  const int64_t strip = STRIP(m < MOST ? m : MOST);
  for (int64_t j = first; j < last; j += strip) {
    int64_t n = last - j < strip ? last - j : strip;
    switch (m) {
      case 1: columns_strip(&o, j, n, 1, 2); break;
      case 2: columns_strip(&o, j, n, 2, 2); break;
      case 3: columns_strip(&o, j, n, 3, 2); break;
      case 4: columns_strip(&o, j, n, 4, 2); break;
      case 5: columns_strip(&o, j, n, 5, 1); break;
      case 6: columns_strip(&o, j, n, 6, 1); break;
      case 7: columns_strip(&o, j, n, 7, 1); break;
      default: columns_strip(&o, j, n, 8, 1); break;
    }
  }
}
