/*
 * Products of few rows with weights of f32 stored [out, in], and with short rows of f16 and bf16: their time is that of
 * reading the weights, so each is read from memory once, in long streams. The order of an element's sum depends on k alone: neither m nor the cut changes it.
 */
#include "core/base/cache_line.h"
#include "core/kernels/numbers.h"
#include "core/kernels/table.h"

/* Rows of x by WIDE rows of w at once: with 12 sums, the 4 of w and one of x nearly fit in 16 registers; with 24, in 32. */
#if WIDTH == 16 || defined(__aarch64__)
#define TALL 6
#else
#define TALL 3
#endif
#define WIDE 4

typedef struct Product {
  float *y;
  const float *x, *bias;
  const char *w;
  int64_t ldy, ldx, w_bytes, m, k;
  int64_t last;     /* rows of w */
  const char *next; /* where they go on behind the last; NULL: nowhere */
} Product;

/* Row j of w, and the next ones of a strip, each so many rows further. */
typedef struct Rows {
  int64_t j, apart;
} Rows;

/* Rows that follow, asked for meanwhile: so many, or all of a strip; NULL: none. */
typedef struct Ahead {
  const char *first;
  int64_t count;
} Ahead;

/* The last products of a row, fewer than WIDTH of them */
static float dot_rest(const Numbers numbers, const float *x, const char *w, int64_t n) {
  return sum_lanes(load_part(x, n, all(0)) * load_rest(numbers, w, n));
}

/* The sums of J rows that are apart, or without their last products, which begin at p */
static __attribute__((noinline)) void finish_sums(const Numbers numbers, const Product *o, const Rows *rows, int64_t i,
                                                  Four sums, int64_t p, int J) {
  for (int j = 0; j < J; j++) {
    const int64_t row = rows->j + j * rows->apart;
    float sum = sums[j] + (o->bias != NULL ? o->bias[row] : 0.0f);
    if (p < o->k) sum += dot_rest(numbers, o->x + i * o->ldx + p, o->w + row * o->w_bytes + p * numbers.size, o->k - p);
    o->y[i * o->ldy + row] = sum;
  }
}

/* The sums of J rows, J up to WIDE */
INLINE void store_sums(const Numbers numbers, const Product *o, const Rows *rows, int64_t i, const Vec sums[WIDE],
                       int64_t p, const int J) {
  Four four = {0};
  if (J == WIDE) four = sum_lanes_of_four(sums[0], sums[1], sums[2], sums[3]);
  else UNROLL for (int j = 0; j < J; j++) four[j] = sum_lanes(sums[j]);
  if (J == WIDE && rows->apart == 1 && p == o->k) {
    if (o->bias != NULL) four += *(const FourInMemory *)(o->bias + rows->j);
    *(FourInMemory *)(o->y + i * o->ldy + rows->j) = four;
  } else finish_sums(numbers, o, rows, i, four, p, J);
}

/* M rows of x from row i by J rows of w. `all`: J rows are asked for, which is faster than counting them. */
INLINE void rows_block(const Numbers numbers, const Product *o, const Rows *rows, int64_t i, Ahead ahead, const int M,
                       const int J, const bool all) {
  const int64_t k = o->k, ldx = o->ldx, apart = rows->apart * o->w_bytes;
  const float *x = o->x + i * ldx;
  const char *w = o->w + rows->j * o->w_bytes;
  Vec sums[TALL][WIDE] = {{{0}}};
  int64_t p = 0;
  for (; p + WIDTH <= k; p += WIDTH) {
    const int64_t at = p * numbers.size;
    Vec row[WIDE];
    if (!all)
      for (int64_t j = 0; j < ahead.count; j++) FETCH(ahead.first + j * apart + at);
    UNROLL for (int j = 0; j < J; j++) {
      row[j] = numbers.load(w + j * apart + at);
      if (all) FETCH(ahead.first + j * apart + at);
    }
    UNROLL for (int r = 0; r < M; r++) {
      Vec v = load(x + r * ldx + p);
      UNROLL for (int j = 0; j < J; j++) sums[r][j] += v * row[j];
    }
  }
  UNROLL for (int r = 0; r < M; r++) store_sums(numbers, o, rows, i + r, sums[r], p, J);
}

INLINE void rows_part(const Numbers numbers, const Product *o, const Rows *rows, int64_t i, int64_t m, Ahead ahead,
                      const int J) {
  switch (m) {
    case 1: rows_block(numbers, o, rows, i, ahead, 1, J, false); break;
    case 2: rows_block(numbers, o, rows, i, ahead, 2, J, false); break;
    case 3: rows_block(numbers, o, rows, i, ahead, 3, J, false); break;
#if TALL > 3
    case 4: rows_block(numbers, o, rows, i, ahead, 4, J, false); break;
    case 5: rows_block(numbers, o, rows, i, ahead, 5, J, false); break;
    case 6: rows_block(numbers, o, rows, i, ahead, 6, J, false); break;
#endif
    default: break;
  }
}

/* All rows of x, in parts of about the same size, by a strip of w, which comes from memory once and then from the cache.
   Each part asks for its share of the strip that follows. */
INLINE void rows_strip(const Numbers numbers, const Product *o, const Rows *rows, const char *next, const int J) {
  const int64_t parts = (o->m + TALL - 1) / TALL;
  for (int64_t part = 0, i = 0, asked = 0; part < parts; part++) {
    const int64_t end = o->m * (part + 1) / parts, asks = next != NULL ? (J * (part + 1) + parts - 1) / parts : 0;
    rows_part(numbers, o, rows, i, end - i, (Ahead){next + asked * rows->apart * o->w_bytes, asks - asked}, J);
    i = end, asked = asks;
  }
}

/* The last rows of w from j on, fewer than WIDE of them */
INLINE void rest_rows(const Numbers numbers, const Product *o, int64_t j) {
  for (; j < o->last; j++)
    for (int64_t i = 0; i < o->m; i++) rows_block(numbers, o, &(Rows){j, 1}, i, (Ahead){NULL, 0}, 1, 1, false);
}

/* By WIDE neighbours at a time: M rows of x, or (0) all in strips. Those that come so many rows later, which may lie
   elsewhere, are asked for. */
INLINE void near_rows(const Numbers numbers, const Product *o, int64_t first, const int M) {
  const int64_t far = (rows_ahead(o->w_bytes) + WIDE - 1) / WIDE * WIDE;
  for (int64_t j = first; j + WIDE <= o->last; j += WIDE) {
    const int64_t over = j + far - o->last;
    const char *ahead = over < 0          ? o->w + (j + far) * o->w_bytes
                        : o->next != NULL ? o->next + over * o->w_bytes
                                          : o->w + j * o->w_bytes;
    if (M > 0) rows_block(numbers, o, &(Rows){j, 1}, 0, (Ahead){ahead, WIDE}, M, WIDE, true);
    else rows_strip(numbers, o, &(Rows){j, 1}, ahead, WIDE);
  }
}

INLINE void multiply_near(const Numbers numbers, const Product *o, int64_t first) {
  switch (o->m) {
    case 1: near_rows(numbers, o, first, 1); break;
    case 2: near_rows(numbers, o, first, 2); break;
    case 3: near_rows(numbers, o, first, 3); break;
#if TALL > 3
    case 4: near_rows(numbers, o, first, 4); break;
    case 5: near_rows(numbers, o, first, 5); break;
    case 6: near_rows(numbers, o, first, 6); break;
#endif
    default: near_rows(numbers, o, first, 0); break;
  }
  rest_rows(numbers, o, o->last - (o->last - first) % WIDE);
}

/* Where memory is mapped in small pages, a stream stands still at the end of each. So a row asks for a line of each few
   hundred bytes behind it, which has the pages looked up in time; more lines cost more than they save. */
#define ASK_AHEAD 8192
#define ASK_EVERY (4 * GPT_CACHE_LINE)
INLINE void ask_behind(const char *row, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += ASK_EVERY) FETCH(row + ASK_AHEAD + at);
}

/* By J rows of w far apart: memory gives long streams faster than neighbours. */
INLINE void multiply_far(const Product *o, int64_t first, const int J) {
  const int64_t apart = (o->last - first) / J;
  for (int64_t j = first; j < first + apart; j++) {
    const char *row = o->w + j * o->w_bytes;
    if (J < WIDE)
      for (int r = 0; r < J; r++) ask_behind(row + r * apart * o->w_bytes, o->k * NUMBERS_F32.size);
    rows_strip(NUMBERS_F32, o, &(Rows){j, apart}, J == WIDE ? row + o->w_bytes : NULL, J);
  }
  rest_rows(NUMBERS_F32, o, first + J * apart);
}

/* Where there is little to compute, two streams without asking are the fastest. Short neighbours are one stream. */
static void multiply_floats(const Product *o, int64_t first) {
  if (o->k <= GPT_SHORT_ROW || (o->m > 2 && o->m <= TALL)) multiply_near(NUMBERS_F32, o, first);
  else if (o->m <= 2) multiply_far(o, first, 2);
  else multiply_far(o, first, WIDE);
}

static Product product_of(const GptFewRows *o, int64_t last) {
  return (Product){.y = o->y, .x = o->x, .bias = o->bias, .w = o->w, .ldy = o->ldy, .m = o->m, .k = o->k,
                   .ldx = o->x_bytes / (int64_t)sizeof(float), .w_bytes = o->w_bytes, .last = last, .next = o->next};
}

static void rows_f32(const GptFewRows *o, int64_t first, int64_t last) {
  const Product product = product_of(o, last);
  multiply_floats(&product, first);
}

void gpt_kernel(short_rows_f16)(const GptFewRows *o, int64_t first, int64_t last) {
  const Product product = product_of(o, last);
  multiply_near(NUMBERS_F16, &product, first);
}

void gpt_kernel(short_rows_bf16)(const GptFewRows *o, int64_t first, int64_t last) {
  const Product product = product_of(o, last);
  multiply_near(NUMBERS_BF16, &product, first);
}

void gpt_kernel(skinny_rows)(float *y, int64_t ldy, const float *x, int64_t ldx, const float *w, int64_t ldw,
                             const float *bias, int64_t m, int64_t k, int64_t first, int64_t last) {
  const Product product = {.y = y, .x = x, .bias = bias, .w = (const char *)w, .ldy = ldy, .m = m, .k = k, .ldx = ldx,
                           .w_bytes = ldw * (int64_t)sizeof *w, .last = last};
  multiply_floats(&product, first);
}

const GptFewRowsKernels gpt_kernel(few_f32) = {
    GPT_SKINNY_ROWS, GPT_SKINNY_ROWS, NULL, NULL, rows_f32, gpt_kernel(columns_f32)};
