/* Tiles of matrix products from OpenBLAS, on the calling thread. */
#include <cblas.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/linalg/blas_seats.h"
#include "core/linalg/product.h"

/* How BLAS sees a matrix: row by row, or transposed. */
typedef struct Layout {
  CBLAS_TRANSPOSE transpose;
  int64_t stride; /* the other stride is 1 */
} Layout;

static Layout layout(const GptMatrix *m) {
  if (gpt_by_rows(m)) return (Layout){CblasNoTrans, m->rows <= 1 ? gpt_larger(m->columns, 1) : m->row_stride};
  return (Layout){CblasTrans, m->columns <= 1 ? gpt_larger(m->rows, 1) : m->column_stride};
}

/* c = a * b (+ c), everything within the range of int */
static void call_blas(const GptMatrix *c, const GptMatrix *a, const GptMatrix *b, bool add) {
  Layout la = layout(a), lb = layout(b), lc = layout(c);
  gpt_blas_enter();
  cblas_sgemm(CblasRowMajor, la.transpose, lb.transpose, (int)c->rows, (int)c->columns, (int)a->columns, 1.0f, a->data,
              (int)la.stride, b->data, (int)lb.stride, add ? 1.0f : 0.0f, c->data, (int)lc.stride);
  gpt_blas_leave();
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

/* How deep a product one call may have: BLAS counts in int, also how far rows lie apart. */
static int64_t most_depth(const GptProduct *p) {
  Layout a = layout(&p->a), b = layout(&p->b);
  bool far = (a.stride > INT_MAX && a.transpose == CblasTrans) || (b.stride > INT_MAX && b.transpose != CblasTrans);
  return far ? 1 : INT_MAX;
}

void gpt_blas_fit(GptProduct *p) {
  Layout a = layout(&p->a), b = layout(&p->b), c = layout(&p->c);
  p->tile_rows = gpt_smaller(p->tile_rows, c.stride > INT_MAX ? 1 : INT_MAX);
  p->tile_columns = gpt_smaller(p->tile_columns, INT_MAX);
  if (a.stride > INT_MAX && a.transpose != CblasTrans) p->tile_rows = 1;
  if (b.stride > INT_MAX && b.transpose == CblasTrans) p->tile_columns = 1;
}

void gpt_blas_tile(const GptProduct *p, int64_t row, int64_t column) {
  int64_t rows = gpt_smaller(p->tile_rows, p->c.rows - row),
          columns = gpt_smaller(p->tile_columns, p->c.columns - column), most = most_depth(p);
  GptMatrix c = gpt_part(&p->c, row, rows, column, columns);
  bool add = p->add;
  if (p->bias != NULL) {
    if (add) add_to_rows(&c, p->bias + column);
    else set_rows(&c, p->bias + column);
    add = true;
  }
  if (p->a.columns == 0 && !add) set_rows(&c, NULL);
  for (int64_t k = 0; k < p->a.columns; k += most) {
    int64_t depth = gpt_smaller(most, p->a.columns - k);
    GptMatrix a = gpt_part(&p->a, row, rows, k, depth), b = gpt_part(&p->b, k, depth, column, columns);
    call_blas(&c, &a, &b, add || k > 0);
  }
}
