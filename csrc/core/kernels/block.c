/*
 * Blocks of a matrix product whose sides fit in the caches, after Goto and van de Geijn, Anatomy of High-Performance
 * Matrix Multiplication (2008). The right side lies in panels of PANEL columns, row after row, the last one filled up
 * with zeros; the left side is read where it lies, or from panels of TALL rows, column after column. A block of TALL x
 * PANEL sums stays in registers.
 */
#include "core/kernels/table.h"

#define TALL 6 /* rows of two vectors: 12 sums, 2 vectors of the right side and a factor fit in 16 registers */
#define PANEL (2 * WIDTH)

/* What a group of rows needs: columns 0 .. n-1, sums over first .. last-1. */
typedef struct Extent {
  int64_t n, first, last;
} Extent;

INLINE int64_t between(int64_t x, int64_t most) { return x < 0 ? 0 : x > most ? most : x; }

INLINE Extent extent_of(const GptPanelBlock *o, int64_t i, int64_t rows) {
  const int64_t past = o->causal.past, seen = past + i + rows;
  switch (o->causal.keys) {
    case GPT_KEYS_ARE_COLUMNS: return (Extent){between(seen, o->n), 0, o->k};
    case GPT_KEYS_ARE_DEPTH: return (Extent){o->n, 0, between(seen, o->k)};
    case GPT_KEYS_ARE_ROWS: return (Extent){o->n, between(i - past, o->k), o->k};
    case GPT_NOT_CAUSAL: break;
  }
  return (Extent){o->n, 0, o->k};
}

/* M rows of sums from row i, in columns j .. j + PANEL - 1, of which only the first n are there. */
INLINE void sum_block(const GptPanelBlock *o, Extent extent, int64_t i, int64_t j, const int M) {
  const int64_t row = o->left_row, column = o->left_column, n = o->n - j;
  const float *a = o->left + i / TALL * o->left_group + extent.first * column;
  const float *b = o->panels + j * o->k + extent.first * PANEL;
  Vec sums[TALL][2];
  UNROLL for (int r = 0; r < M; r++) {
    __builtin_prefetch(o->c + (i + r) * o->ldc + j, 1, 3);
    sums[r][0] = o->bias != NULL ? load(o->bias + j) : (Vec){0};
    sums[r][1] = o->bias != NULL ? load(o->bias + j + WIDTH) : (Vec){0};
  }
  for (int64_t p = extent.first; p < extent.last; p++, a += column, b += PANEL) {
    Vec b0 = load(b), b1 = load(b + WIDTH);
    UNROLL for (int r = 0; r < M; r++) {
      Vec factor = all(a[r * row]);
      sums[r][0] += factor * b0;
      sums[r][1] += factor * b1;
    }
  }
  UNROLL for (int r = 0; r < M; r++) {
    float *y = o->c + (i + r) * o->ldc + j, edge[PANEL];
    float *to = n >= PANEL ? y : edge;
    if (n < PANEL && o->add) memcpy(edge, y, (size_t)n * sizeof *y);
    if (o->add) sums[r][0] += load(to), sums[r][1] += load(to + WIDTH);
    store(to, sums[r][0]);
    store(to + WIDTH, sums[r][1]);
    if (n < PANEL) memcpy(y, edge, (size_t)n * sizeof *y);
  }
}

/* Asks for a share of the left side's next rows, where they lie in memory. */
INLINE void fetch_left(const GptPanelBlock *o, int64_t i, int64_t j) {
  if (o->left_column != 1 || i + 2 * TALL > o->m) return;
  const float *next = o->left + (i / TALL + 1) * o->left_group;
  int64_t first = j * o->k / o->n / 16 * 16, last = (j + PANEL) * o->k / o->n;
  for (int64_t p = first; p < last && p < o->k; p += 16)
    UNROLL for (int r = 0; r < TALL; r++) __builtin_prefetch(next + r * o->left_row + p, 0, 3);
}

INLINE void sum_rows(const GptPanelBlock *o, int64_t i, const int M) {
  Extent extent = extent_of(o, i, M);
  for (int64_t j = 0; j < extent.n; j += PANEL) {
    fetch_left(o, i, j);
    sum_block(o, extent, i, j, M);
  }
}

static void multiply_block(const GptPanelBlock *o) {
  int64_t i = 0;
  for (; i + TALL <= o->m; i += TALL) sum_rows(o, i, TALL);
  switch (o->m - i) {
    case 5: sum_rows(o, i, 5); break;
    case 4: sum_rows(o, i, 4); break;
    case 3: sum_rows(o, i, 3); break;
    case 2: sum_rows(o, i, 2); break;
    case 1: sum_rows(o, i, 1); break;
    default: break;
  }
}

#define RUN 4 /* rows */

/* One panel's part of some rows: n floats of each, filled up with zeros to `size`. */
INLINE void pack_run(float *panel, const float *from, int64_t ld, int64_t rows, int64_t n, const int size) {
  if (n >= size) {
    for (int64_t p = 0; p < rows; p++) memcpy(panel + p * size, from + p * ld, (size_t)size * sizeof *panel);
    return;
  }
  memset(panel, 0, (size_t)(rows * size) * sizeof *panel);
  for (int64_t p = 0; p < rows; p++) memcpy(panel + p * size, from + p * ld, (size_t)n * sizeof *panel);
}

/* Panels of `size` columns from rows of n floats, ld apart. Some rows at a time, panel by panel: both memory and the
   first cache, of which panels may share a few lines, like that. */
INLINE void pack(float *panels, const float *from, int64_t ld, int64_t k, int64_t n, const int size) {
  for (int64_t p = 0; p < k; p += RUN)
    for (int64_t j = 0; j < n; j += size)
      pack_run(panels + j * k + p * size, from + p * ld + j, ld, k - p < RUN ? k - p : RUN, n - j, size);
}

static void pack_rows(float *panels, const float *b, int64_t ldb, int64_t k, int64_t n) {
  pack(panels, b, ldb, k, n, PANEL);
}

static void pack_left(float *panels, const float *a, int64_t lda, int64_t k, int64_t m) {
  pack(panels, a, lda, k, m, TALL);
}

INLINE Four load_four(const float *p) { return *(const FourInMemory *)p; }
INLINE void store_four(float *p, Four v) { *(FourInMemory *)p = v; }

/* Four rows of four become four columns. */
INLINE void turn_four(float *to, const float *from, int64_t ld) {
  Four a = load_four(from), b = load_four(from + ld), c = load_four(from + 2 * ld), d = load_four(from + 3 * ld);
  Four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  Four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  store_four(to, __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5));
  store_four(to + PANEL, __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7));
  store_four(to + 2 * PANEL, __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5));
  store_four(to + 3 * PANEL, __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7));
}

/* One panel from n columns that lie as rows of k floats, ldb apart. */
static void turn_panel(float *panel, const float *b, int64_t ldb, int64_t k, int64_t n) {
  int64_t j = 0, p;
  if (n < PANEL) memset(panel, 0, (size_t)(k * PANEL) * sizeof *panel);
  else n = PANEL;
  for (; j + 4 <= n; j += 4) {
    for (p = 0; p + 4 <= k; p += 4) turn_four(panel + p * PANEL + j, b + j * ldb + p, ldb);
    for (; p < k; p++)
      for (int64_t c = j; c < j + 4; c++) panel[p * PANEL + c] = b[c * ldb + p];
  }
  for (; j < n; j++)
    for (p = 0; p < k; p++) panel[p * PANEL + j] = b[j * ldb + p];
}

static void pack_columns(float *panels, const float *b, int64_t ldb, int64_t k, int64_t n) {
  for (int64_t j = 0; j < n; j += PANEL) turn_panel(panels + j * k, b + j * ldb, ldb, k, n - j);
}

const GptPanels gpt_kernel(panels) = {TALL, PANEL, multiply_block, pack_rows, pack_columns, pack_left};
