/*
 * Products of few rows with weights stored [in, out], of f32, f16 or bf16: rows of the weight are added up, strip by
 * strip. Each is read from memory once, and what comes next is asked for ahead. The order of an element's sum depends
 * on k alone: neither m nor the cut changes it.
 */
#include "core/base/cache_line.h"
#include "core/kernels/numbers.h"
#include "core/kernels/table.h"

#define MOST GPT_SKINNY_ROWS
#define DEEP 8                /* rows of the weight at once */
#define SUMS 4096             /* sums that stay in the cache meanwhile, */
#define STRIP(M) (SUMS / (M)) /* those of so many columns */
#define SHORT 256             /* columns of a row that is short, */
#define MOST_KEPT 3           /* and rows of x, whose sums stay in registers, */
#define WIDE 8                /* for so many vectors of columns at most */

/* sums[i, j] += x[i, 0] w[0, j] + .. + x[i, D-1] w[D-1, j], added from left to right, for M rows and V vectors of
   columns at once. Asks for the D rows of w that follow, from `ahead` on. */
INLINE void add_rows(const Numbers numbers, float *sums, const float *x, int64_t x_bytes, const char *w,
                     const char *ahead, int64_t w_bytes, int64_t n, const int M, const int D, const int V) {
  float factors[DEEP][MOST];
  for (int i = 0; i < M; i++)
    for (int d = 0; d < D; d++) factors[d][i] = ((const float *)((const char *)x + i * x_bytes))[d];
  int64_t j = 0;
  for (; j + V * WIDTH <= n; j += V * WIDTH) {
    Vec s[MOST][2], row[2];
    UNROLL for (int i = 0; i < M; i++)
      UNROLL for (int v = 0; v < V; v++) s[i][v] = load(sums + i * STRIP(M) + j + v * WIDTH);
    UNROLL for (int d = 0; d < D; d++) {
      const char *from = w + d * w_bytes + j * numbers.size;
      FETCH(ahead + d * w_bytes + j * numbers.size);
      UNROLL for (int v = 0; v < V; v++) row[v] = numbers.load(from + v * WIDTH * numbers.size);
      UNROLL for (int i = 0; i < M; i++)
        UNROLL for (int v = 0; v < V; v++) s[i][v] += factors[d][i] * row[v];
    }
    UNROLL for (int i = 0; i < M; i++)
      UNROLL for (int v = 0; v < V; v++) store(sums + i * STRIP(M) + j + v * WIDTH, s[i][v]);
  }
  for (; j < n; j += WIDTH) {
    const int64_t count = n - j < WIDTH ? n - j : WIDTH;
    for (int i = 0; i < M; i++) {
      Vec s = load_part(sums + i * STRIP(M) + j, count, (Vec){0});
      for (int d = 0; d < D; d++) s += factors[d][i] * load_rest(numbers, w + d * w_bytes + j * numbers.size, count);
      store_part(sums + i * STRIP(M) + j, count, s);
    }
  }
}

/* The sums stand side by side in a place of their own: at y, whose rows may be a power of two apart, and beside
   rows of w that are, they would drive each other out of the cache. */
INLINE void columns_strip(const Numbers numbers, const GptFewRows *o, int64_t j, int64_t n, const int M, const int V) {
  float sums[SUMS] __attribute__((aligned(64)));
  const char *w = (const char *)o->w + j * numbers.size;
  const float *x = o->x;
  size_t bytes = (size_t)n * sizeof *sums;
  for (int64_t i = 0; i < M; i++) {
    const float *begin = o->add ? o->y + i * o->ldy + j : o->bias != NULL ? o->bias + j : NULL;
    if (begin != NULL) memcpy(sums + i * STRIP(M), begin, bytes);
    else memset(sums + i * STRIP(M), 0, bytes);
  }
  const char *next = o->next != NULL ? (const char *)o->next + j * numbers.size : w + o->k * o->w_bytes;
  int64_t p = 0;
  for (; p + DEEP <= o->k; p += DEEP) {
    const char *rows = w + p * o->w_bytes, *ahead = p + DEEP < o->k ? rows + DEEP * o->w_bytes : next;
    add_rows(numbers, sums, x + p, o->x_bytes, rows, ahead, o->w_bytes, n, M, DEEP, V);
  }
  for (; p < o->k; p++) {
    const char *row = w + p * o->w_bytes, *ahead = p + 1 < o->k ? row + o->w_bytes : next;
    add_rows(numbers, sums, x + p, o->x_bytes, row, ahead, o->w_bytes, n, M, 1, V);
  }
  for (int64_t i = 0; i < M; i++) memcpy(o->y + i * o->ldy + j, sums + i * STRIP(M), bytes);
}

/* V vectors of columns from j on, for M rows. Their sums stay in registers all along k. */
INLINE void columns_kept(const Numbers numbers, const GptFewRows *o, int64_t j, const int M, const int V) {
  Vec s[MOST_KEPT][WIDE];
  const char *w = (const char *)o->w + j * numbers.size;
  const char *next = o->next != NULL ? (const char *)o->next + j * numbers.size : NULL;
  const int64_t far = rows_ahead(o->w_bytes);
  UNROLL for (int i = 0; i < M; i++)
    UNROLL for (int v = 0; v < V; v++) {
      const int64_t at = j + v * WIDTH;
      s[i][v] = o->add ? load(o->y + i * o->ldy + at) : o->bias != NULL ? load(o->bias + at) : (Vec){0};
    }
  for (int64_t p = 0; p < o->k; p++, w += o->w_bytes) {
    const int64_t over = p + far - o->k;
    const char *ahead = over < 0 ? w + far * o->w_bytes : next != NULL ? next + over * o->w_bytes : w;
    float factors[MOST_KEPT];
    UNROLL for (int i = 0; i < M; i++) factors[i] = ((const float *)((const char *)o->x + i * o->x_bytes))[p];
    UNROLL for (int v = 0; v < V; v++) {
      if (v * WIDTH * numbers.size % GPT_CACHE_LINE == 0) FETCH(ahead + v * WIDTH * numbers.size);
      const Vec row = numbers.load(w + v * WIDTH * numbers.size);
      UNROLL for (int i = 0; i < M; i++) s[i][v] += factors[i] * row;
    }
  }
  UNROLL for (int i = 0; i < M; i++)
    UNROLL for (int v = 0; v < V; v++) store(o->y + i * o->ldy + j + v * WIDTH, s[i][v]);
}

/* From column `first` on, as many as make whole vectors; returns where they end. */
INLINE int64_t multiply_kept(const Numbers numbers, const GptFewRows *o, int64_t first, int64_t last, const int M,
                             const int V) {
  int64_t j = first;
  for (; j + V * WIDTH <= last; j += V * WIDTH) columns_kept(numbers, o, j, M, V);
  for (; j + 4 * WIDTH <= last; j += 4 * WIDTH) columns_kept(numbers, o, j, M, 4);
  for (; j + WIDTH <= last; j += WIDTH) columns_kept(numbers, o, j, M, 1);
  return j;
}

/* Short rows side by side, as of a head's values, are one stream however they are read. */
static bool keeps_sums(const Numbers numbers, const GptFewRows *o, int64_t first, int64_t last) {
  return o->m <= MOST_KEPT && last - first <= SHORT && o->w_bytes == (last - first) * numbers.size;
}

INLINE int64_t multiply_short(const Numbers numbers, const GptFewRows *o, int64_t first, int64_t last) {
  switch (o->m) {
    case 1: return multiply_kept(numbers, o, first, last, 1, WIDE);
    case 2: return multiply_kept(numbers, o, first, last, 2, 4);
    default: return multiply_kept(numbers, o, first, last, 3, 4);
  }
}

INLINE void multiply_columns(const Numbers numbers, const GptFewRows *o, int64_t first, int64_t last) {
  if (keeps_sums(numbers, o, first, last)) first = multiply_short(numbers, o, first, last);
  const int64_t strip = STRIP(o->m < MOST ? o->m : MOST);
  for (int64_t j = first; j < last; j += strip) {
    int64_t n = last - j < strip ? last - j : strip;
    switch (o->m) {
      case 1: columns_strip(numbers, o, j, n, 1, 2); break;
      case 2: columns_strip(numbers, o, j, n, 2, 2); break;
      case 3: columns_strip(numbers, o, j, n, 3, 2); break;
      case 4: columns_strip(numbers, o, j, n, 4, 2); break;
      case 5: columns_strip(numbers, o, j, n, 5, 1); break;
      case 6: columns_strip(numbers, o, j, n, 6, 1); break;
      case 7: columns_strip(numbers, o, j, n, 7, 1); break;
      default: columns_strip(numbers, o, j, n, 8, 1); break;
    }
  }
}

void gpt_kernel(skinny_columns)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                                const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  const GptFewRows o = {.y = y, .ldy = ldy, .x = x, .x_bytes = ldx * (int64_t)sizeof *x, .w = w,
                        .w_bytes = ldw * (int64_t)sizeof *w, .bias = bias, .m = m, .k = k};
  multiply_columns(NUMBERS_F32, &o, first, last);
}

void gpt_kernel(columns_f32)(const GptFewRows *o, int64_t first, int64_t last) {
  multiply_columns(NUMBERS_F32, o, first, last);
}

void gpt_kernel(columns_f16)(const GptFewRows *o, int64_t first, int64_t last) {
  multiply_columns(NUMBERS_F16, o, first, last);
}

void gpt_kernel(columns_bf16)(const GptFewRows *o, int64_t first, int64_t last) {
  multiply_columns(NUMBERS_BF16, o, first, last);
}
