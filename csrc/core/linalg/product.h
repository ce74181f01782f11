/* Inside matrix.c and its two ways to multiply: a product that is cut into tiles. */
#ifndef GPT_PRODUCT_H
#define GPT_PRODUCT_H

#include "core/linalg/matrix.h"

typedef struct GptProduct {
  GptMatrix c, a, b;
  const float *bias; /* [c.columns], added to each row; or NULL */
  bool add;
  GptCausal causal;
  int64_t tile_rows, tile_columns;
  int64_t column_tiles; /* tiles side by side */
} GptProduct;

static inline int64_t gpt_larger(int64_t a, int64_t b) { return a > b ? a : b; }
static inline int64_t gpt_smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t gpt_round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Do the elements of a row lie side by side? */
static inline bool gpt_by_rows(const GptMatrix *m) { return m->column_stride == 1 || m->columns <= 1; }

static inline GptMatrix gpt_part(const GptMatrix *m, int64_t row, int64_t rows, int64_t column, int64_t columns) {
  float *data = m->data + row * m->row_stride + column * m->column_stride;
  return (GptMatrix){data, rows, columns, m->row_stride, m->column_stride};
}

/* The tile whose first element is (row, column), from OpenBLAS. */
void gpt_blas_tile(const GptProduct *product, int64_t row, int64_t column);
/* Tiles as large as int can count. */
void gpt_blas_fit(GptProduct *product);

/* The same from our own panels, in scratch of so many floats for tiles of that size. */
void gpt_panels_tile(const GptProduct *product, int64_t row, int64_t column, float *scratch);
int64_t gpt_panels_scratch(int64_t rows, int64_t columns, int64_t depth);

/* Few rows by a weight stored [in, out] whose rows are many: is it such, and the product; false and a message without
   memory. */
bool gpt_is_deep(const GptProduct *product);
bool gpt_deep_multiply(GptEnv *env, const GptProduct *product);

#endif
