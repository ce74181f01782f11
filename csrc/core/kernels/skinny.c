/*
 * Products of few rows with float weights stored [out, in]: their time is that of reading the weights, so each is read
 * from memory once, and what comes next is asked for ahead. The order of an element's sum depends on k alone: neither m
 * nor the cut changes it.
 */
#include "core/kernels/table.h"

/* Rows of x by WIDE rows of w at once: with 12 sums, the 4 of w and one of x nearly fit in 16 registers; with 24, in 32. */
#if WIDTH == 16 || defined(__aarch64__)
#define TALL 6
#else
#define TALL 3
#endif
#define WIDE 4

#define FETCH(p) __builtin_prefetch(p, 0, 2) /* for reading, into the second cache */

typedef struct Product {
  float *y;
  const float *x, *w, *bias;
  int64_t ldy, ldx, ldw, m, k;
  int64_t last;      /* rows of w */
  const float *next; /* where they go on behind the last; NULL: there */
} Product;

/* The last products of a row, fewer than WIDTH of them */
static __attribute__((noinline)) float dot_rest(const float *a, const float *b, int64_t n) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* M rows of x from row i0 by J rows of w from row j0. Of the J rows that follow, from `ahead` on, asks for those whose
   number is `share` modulo `shares`. */
INLINE void rows_block(const Product *o, const float *ahead, int64_t i0, int64_t j0, const int M, const int J,
                       const int share, const int shares) {
  const int64_t k = o->k, ldx = o->ldx, ldw = o->ldw;
  const float *x = o->x + i0 * ldx, *w = o->w + j0 * ldw;
  Vec sums[TALL][WIDE] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= k; p += WIDTH) {
    Vec rows[WIDE];
    UNROLL for (int j = 0; j < J; j++) {
      rows[j] = load(w + j * ldw + p);
      if (j % shares == share) FETCH(ahead + j * ldw + p);
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

/* More rows than the cases below. The first ones ask for what comes next. */
INLINE void rows_tall_strip(const Product *o, const float *ahead, int64_t j, const int J) {
  int64_t i = TALL;
  rows_block(o, ahead, 0, j, TALL, J, 0, 1);
  for (; i + TALL <= o->m; i += TALL) rows_block(o, ahead, i, j, TALL, J, J, J + 1);
  if (TALL > 3 && i + 3 <= o->m) rows_block(o, ahead, i, j, 3, J, J, J + 1), i += 3;
  if (i + 2 <= o->m) rows_block(o, ahead, i, j, 2, J, J, J + 1), i += 2;
  if (i < o->m) rows_block(o, ahead, i, j, 1, J, J, J + 1);
}

/* All rows of x by J rows of w, which come from memory once and then from the cache. */
INLINE void rows_strip(const Product *o, int64_t j, const int J) {
  const float *ahead = o->next != NULL && j + J >= o->last ? o->next : o->w + (j + J) * o->ldw;
  switch (o->m) {
    case 1: rows_block(o, ahead, 0, j, 1, J, 0, 1); break;
    case 2: rows_block(o, ahead, 0, j, 2, J, 0, 1); break;
    case 3: rows_block(o, ahead, 0, j, 3, J, 0, 1); break;
    case 4: rows_block(o, ahead, 0, j, 2, J, 0, 2), rows_block(o, ahead, 2, j, 2, J, 1, 2); break;
    case 5: rows_block(o, ahead, 0, j, 3, J, 0, 2), rows_block(o, ahead, 3, j, 2, J, 1, 2); break;
    case 6: rows_block(o, ahead, 0, j, 3, J, 0, 2), rows_block(o, ahead, 3, j, 3, J, 1, 2); break;
    case 7: rows_block(o, ahead, 0, j, 3, J, 0, 3), rows_block(o, ahead, 3, j, 2, J, 1, 3), rows_block(o, ahead, 5, j, 2, J, 2, 3); break;
    case 8: rows_block(o, ahead, 0, j, 3, J, 0, 3), rows_block(o, ahead, 3, j, 3, J, 1, 3), rows_block(o, ahead, 6, j, 2, J, 2, 3); break;
    default: rows_tall_strip(o, ahead, j, J); break;
  }
}

static void skinny_rows_product(const Product *o, int64_t first) {
  int64_t j = first;
  for (; j + WIDE <= o->last; j += WIDE) rows_strip(o, j, WIDE);
  for (; j < o->last; j++) rows_strip(o, j, 1);
}

void gpt_kernel(skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                             const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  skinny_rows_product(&(Product){y, x, w, bias, ldy, ldx, ldw, m, k, last, NULL}, first);
}

static void multiply_floats(const GptFewRows *o, int64_t first, int64_t last) {
  int64_t ldx = o->x_bytes / (int64_t)sizeof(float), ldw = o->w_bytes / (int64_t)sizeof(float);
  skinny_rows_product(&(Product){o->y, o->x, o->w, o->bias, o->ldy, ldx, ldw, o->m, o->k, last, o->next}, first);
}

const GptFewRowsKernels gpt_kernel(few_f32) = {
    GPT_SKINNY_ROWS, GPT_SKINNY_ROWS, NULL, NULL, multiply_floats, gpt_kernel(columns_f32)};
