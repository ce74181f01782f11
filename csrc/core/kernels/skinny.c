/*
 * Products of few rows with float weights stored [out, in]: their time is that of reading the weights, so each is read
 * from memory once, in long streams. The order of an element's sum depends on k alone: neither m nor the cut changes it.
 */
#include "core/kernels/table.h"

/* Rows of x by WIDE rows of w at once: with 12 sums, the 4 of w and one of x nearly fit in 16 registers; with 24, in 32. */
#if WIDTH == 16 || defined(__aarch64__)
#define TALL 6
#else
#define TALL 3
#endif
#define WIDE 4
#define SHORT 256 /* numbers of a row, up to which neighbours are read as one stream */

#define FETCH(p) __builtin_prefetch(p, 0, 2) /* for reading, into the second cache */

typedef struct Product {
  float *y;
  const float *x, *w, *bias;
  int64_t ldy, ldx, ldw, m, k;
  int64_t last;      /* rows of w */
  const float *next; /* where they go on behind the last; NULL: there */
} Product;

/* Row j of w, and the next ones of a strip, each so many rows further. */
typedef struct Rows {
  int64_t j, apart;
} Rows;

/* Rows that follow, asked for meanwhile: so many, or all of a strip; NULL: none. */
typedef struct Ahead {
  const float *first;
  int64_t count;
} Ahead;

/* The last products of a row, fewer than WIDTH of them */
static __attribute__((noinline)) float dot_rest(const float *a, const float *b, int64_t n) {
  float sum = 0.0f;
  for (int64_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/* The sums of J rows, J up to WIDE */
INLINE void store_sums(const Product *o, const Rows *rows, int64_t i, const Vec sums[WIDE], int64_t p, const int J) {
  const float *x = o->x + i * o->ldx, *w = o->w + rows->j * o->ldw;
  float *y = o->y + i * o->ldy + rows->j;
  Four four = {0};
  if (J == WIDE) four = sum_lanes_of_four(sums[0], sums[1], sums[2], sums[3]);
  else UNROLL for (int j = 0; j < J; j++) four[j] = sum_lanes(sums[j]);
  UNROLL for (int j = 0; j < J; j++) {
    const int64_t at = j * rows->apart;
    float sum = four[j] + (o->bias != NULL ? o->bias[rows->j + at] : 0.0f);
    y[at] = p < o->k ? sum + dot_rest(x + p, w + at * o->ldw + p, o->k - p) : sum;
  }
}

/* M rows of x from row i by J rows of w. `all`: J rows are asked for, which is faster than counting them. */
INLINE void rows_block(const Product *o, const Rows *rows, int64_t i, Ahead ahead, const int M, const int J,
                       const bool all) {
  const int64_t k = o->k, ldx = o->ldx, ldw = rows->apart * o->ldw;
  const float *x = o->x + i * ldx, *w = o->w + rows->j * o->ldw;
  Vec sums[TALL][WIDE] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= k; p += WIDTH) {
    Vec numbers[WIDE];
    if (!all)
      for (int64_t j = 0; j < ahead.count; j++) FETCH(ahead.first + j * ldw + p);
    UNROLL for (int j = 0; j < J; j++) {
      numbers[j] = load(w + j * ldw + p);
      if (all) FETCH(ahead.first + j * ldw + p);
    }
    UNROLL for (int r = 0; r < M; r++) {
      Vec v = load(x + r * ldx + p);
      UNROLL for (int j = 0; j < J; j++) sums[r][j] += v * numbers[j];
    }
  }
  UNROLL for (int r = 0; r < M; r++) store_sums(o, rows, i + r, sums[r], p, J);
}

INLINE void rows_part(const Product *o, const Rows *rows, int64_t i, int64_t m, Ahead ahead, const int J,
                      const bool all) {
  switch (m) {
    case 1: rows_block(o, rows, i, ahead, 1, J, all); break;
    case 2: rows_block(o, rows, i, ahead, 2, J, all); break;
    case 3: rows_block(o, rows, i, ahead, 3, J, all); break;
#if TALL > 3
    case 4: rows_block(o, rows, i, ahead, 4, J, all); break;
    case 5: rows_block(o, rows, i, ahead, 5, J, all); break;
    case 6: rows_block(o, rows, i, ahead, 6, J, all); break;
#endif
    default: break;
  }
}

/* All rows of x, in parts of about the same size, by a strip of w, which comes from memory once and then from the cache.
   Each part asks for its share of the strip that follows. */
INLINE void rows_strip(const Product *o, const Rows *rows, const float *next, const int J) {
  const int64_t parts = (o->m + TALL - 1) / TALL;
  for (int64_t part = 0, i = 0, asked = 0; part < parts; part++) {
    const int64_t end = o->m * (part + 1) / parts, asks = next != NULL ? (J * (part + 1) + parts - 1) / parts : 0;
    rows_part(o, rows, i, end - i, (Ahead){next + asked * rows->apart * o->ldw, asks - asked}, J, false);
    i = end, asked = asks;
  }
}

/* By WIDE neighbours at a time. What comes next, which may lie elsewhere, is asked for. */
static void multiply_near(const Product *o, int64_t first) {
  int64_t j = first;
  for (; j + WIDE <= o->last; j += WIDE) {
    const float *next = o->next != NULL && j + WIDE >= o->last ? o->next : o->w + (j + WIDE) * o->ldw;
    if (o->m <= TALL) rows_part(o, &(Rows){j, 1}, 0, o->m, (Ahead){next, WIDE}, WIDE, true);
    else rows_strip(o, &(Rows){j, 1}, next, WIDE);
  }
  for (; j < o->last; j++) rows_strip(o, &(Rows){j, 1}, NULL, 1);
}

/* Where memory is mapped in small pages, a stream stands still at the end of each. So a row asks for a line of each few
   hundred bytes behind it, which has the pages looked up in time; more lines cost more than they save. */
#define ASK_AHEAD 2048 /* floats */
#define ASK_EVERY 64
INLINE void ask_behind(const float *row, int64_t k) {
  for (int64_t at = 0; at < k; at += ASK_EVERY) FETCH(row + ASK_AHEAD + at);
}

/* By J rows of w far apart: memory gives long streams faster than neighbours. */
INLINE void multiply_far(const Product *o, int64_t first, const int J) {
  const int64_t apart = (o->last - first) / J;
  for (int64_t j = first; j < first + apart; j++) {
    const float *row = o->w + j * o->ldw;
    if (J < WIDE)
      for (int r = 0; r < J; r++) ask_behind(row + r * apart * o->ldw, o->k);
    rows_strip(o, &(Rows){j, apart}, J == WIDE ? row + o->ldw : NULL, J);
  }
  for (int64_t j = first + J * apart; j < o->last; j++) rows_strip(o, &(Rows){j, 1}, NULL, 1);
}

/* Where there is little to compute, two streams without asking are the fastest. Short neighbours are one stream. */
static void skinny_rows_product(const Product *o, int64_t first) {
  if (o->k <= SHORT || (o->m > 2 && o->m <= TALL)) multiply_near(o, first);
  else if (o->m <= 2) multiply_far(o, first, 2);
  else multiply_far(o, first, WIDE);
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
