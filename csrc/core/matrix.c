#include "core/matrix.h"

#include <cblas.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/parallel.h"

#define SKINNY_WORK (1 << 16)  /* multiplications worth a hand-over to another thread */
#define LONG_RUN 2048          /* floats */
#define TILE_ROWS 512          /* OpenBLAS packs both sides of every tile: smaller ones cost some percent, */
#define TILE_COLUMNS 384       /* larger ones leave threads without work; */
#define FEW_TILES 4            /* below so many, tiles are halved */

typedef struct Product {
  GptMatrix c, a, b;
  const float *bias;
  float alpha;
  bool add;
  int64_t tile_rows, tile_columns, tile_depth;
  int64_t column_tiles; /* tiles side by side */
} Product;

/* How BLAS sees a matrix: row by row, or transposed. */
typedef struct Layout {
  CBLAS_TRANSPOSE transpose;
  int64_t stride; /* the other stride is 1 */
} Layout;

static int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
static int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

static bool by_rows(const GptMatrix *m) { return m->column_stride == 1 || m->columns <= 1; }

static Layout layout(const GptMatrix *m) {
  if (by_rows(m)) return (Layout){CblasNoTrans, m->rows <= 1 ? larger(m->columns, 1) : m->row_stride};
  return (Layout){CblasTrans, m->columns <= 1 ? larger(m->rows, 1) : m->column_stride};
}

static GptMatrix part(const GptMatrix *m, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  float *data = m->data + row * m->row_stride + column * m->column_stride;
  return (GptMatrix){data, rows, columns, m->row_stride, m->column_stride};
}

/* OpenBLAS built without threads has no locks of its own: its callers must take turns. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static bool take_turns;

static void prepare_blas(void) {
  take_turns = openblas_get_parallel() == 0;
  openblas_set_num_threads(1);
}

/* c = alpha * a * b (+ c), everything within the range of int */
static void call_blas(const GptMatrix *c, const GptMatrix *a, const GptMatrix *b, float alpha, bool add) {
  Layout la = layout(a), lb = layout(b), lc = layout(c);
  pthread_once(&once, prepare_blas);
  if (take_turns) pthread_mutex_lock(&turn);
  cblas_sgemm(CblasRowMajor, la.transpose, lb.transpose, (int)c->rows, (int)c->columns, (int)a->columns, alpha, a->data,
              (int)la.stride, b->data, (int)lb.stride, add ? 1.0f : 0.0f, c->data, (int)lc.stride);
  if (take_turns) pthread_mutex_unlock(&turn);
}

static void set_rows(const GptMatrix *c, const float *bias) {
  for (int64_t i = 0; i < c->rows; i++) {
    float *row = c->data + i * c->row_stride;
    if (bias != NULL) memcpy(row, bias, (size_t)c->columns * sizeof *row);
    else memset(row, 0, (size_t)c->columns * sizeof *row);
  }
}

static void add_to_rows(const GptMatrix *c, const float *bias) {
  const GptKernels *kernels = gpt_kernels();
  for (int64_t i = 0; i < c->rows; i++) {
    float *row = c->data + i * c->row_stride;
    kernels->add(row, row, bias, c->columns);
  }
}

static void multiply_tile(const Product *p, int64_t row, int64_t column) {
  int64_t rows = smaller(p->tile_rows, p->c.rows - row), columns = smaller(p->tile_columns, p->c.columns - column);
  GptMatrix c = part(&p->c, row, rows, column, columns);
  bool add = p->add;
  if (p->bias != NULL) {
    if (add) add_to_rows(&c, p->bias + column);
    else set_rows(&c, p->bias + column);
    add = true;
  }
  if (p->a.columns == 0 && !add) set_rows(&c, NULL);
  for (int64_t k = 0; k < p->a.columns; k += p->tile_depth) {
    int64_t depth = smaller(p->tile_depth, p->a.columns - k);
    GptMatrix a = part(&p->a, row, rows, k, depth), b = part(&p->b, k, depth, column, columns);
    call_blas(&c, &a, &b, p->alpha, add || k > 0);
  }
}

static void multiply_tiles(void *context, int64_t first, int64_t last) {
  const Product *p = context;
  for (int64_t t = first; t < last; t++)
    multiply_tile(p, t / p->column_tiles * p->tile_rows, t % p->column_tiles * p->tile_columns);
}

/* BLAS counts in int: a tile reaches no further, and one whose rows lie too far apart for that has one row. */
static void fit_int(Product *p) {
  Layout a = layout(&p->a), b = layout(&p->b), c = layout(&p->c);
  p->tile_rows = smaller(p->tile_rows, c.stride > INT_MAX ? 1 : INT_MAX);
  p->tile_columns = smaller(p->tile_columns, INT_MAX);
  p->tile_depth = smaller(p->tile_depth, INT_MAX);
  if (a.stride > INT_MAX) *(a.transpose == CblasTrans ? &p->tile_depth : &p->tile_rows) = 1;
  if (b.stride > INT_MAX) *(b.transpose == CblasTrans ? &p->tile_columns : &p->tile_depth) = 1;
}

static int64_t count_tiles(Product *p) {
  p->column_tiles = (p->c.columns + p->tile_columns - 1) / p->tile_columns;
  return (p->c.rows + p->tile_rows - 1) / p->tile_rows * p->column_tiles;
}

/* Cuts by shape alone, never by the number of threads: OpenBLAS's last bits may depend on the cut. Answers how many
   tiles. */
static int64_t cut(Product *p) {
  p->tile_rows = TILE_ROWS;
  p->tile_columns = TILE_COLUMNS;
  if (count_tiles(p) < FEW_TILES) p->tile_rows /= 2;
  if (count_tiles(p) < FEW_TILES) p->tile_columns /= 2;
  fit_int(p);
  return count_tiles(p);
}

static void multiply_skinny(void *context, int64_t first, int64_t last) {
  const Product *p = context;
  const GptKernels *kernels = gpt_kernels();
  int64_t m = p->c.rows, k = p->a.columns;
  if (p->b.row_stride == 1 || !by_rows(&p->b))
    kernels->skinny_rows(p->c.data, p->c.row_stride, p->a.data, p->a.row_stride, p->b.data, p->b.column_stride, p->bias,
                         m, k, first, last);
  else
    kernels->skinny_columns(p->c.data, p->c.row_stride, p->a.data, p->a.row_stride, p->b.data, p->b.row_stride, p->bias,
                            m, k, first, last);
}

/* Columns of a piece: whole cache lines and work worth a hand-over; a thread's share, or half of it where rows of
   the weight still come in long runs. No sum depends on it. */
static int64_t skinny_grain(const Product *p) {
  int64_t share = p->c.columns / gpt_threads() + 1;
  int64_t least = SKINNY_WORK / larger(p->a.columns, 1);
  if (share > 2 * LONG_RUN) share = (share + 1) / 2;
  return (larger(share, least) + 15) / 16 * 16;
}

static bool is_skinny(const Product *p) {
  return p->c.rows <= GPT_SKINNY_ROWS && !p->add && (p->a.column_stride == 1 || p->a.columns <= 1);
}

void gpt_matrix_multiply(GptMatrix c, GptMatrix a, GptMatrix b, const float *bias, bool add) {
  Product p = {.c = c, .a = a, .b = b, .bias = bias, .alpha = 1.0f, .add = add, .tile_depth = INT64_MAX};
  if (c.rows <= 0 || c.columns <= 0) return;
  if (is_skinny(&p)) gpt_parallel_for(c.columns, skinny_grain(&p), multiply_skinny, &p);
  else gpt_parallel_for(cut(&p), 1, multiply_tiles, &p);
}

void gpt_matrix_multiply_serial(GptMatrix c, GptMatrix a, GptMatrix b, float alpha, bool add) {
  Product p = {.c = c, .a = a, .b = b, .alpha = alpha, .add = add, .tile_rows = INT64_MAX, .tile_columns = INT64_MAX,
               .tile_depth = INT64_MAX};
  if (c.rows <= 0 || c.columns <= 0) return;
  fit_int(&p);
  int64_t tiles = count_tiles(&p);
  multiply_tiles(&p, 0, tiles);
}
