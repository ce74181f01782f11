/* Tiles of matrix products from our own panels: the right side is packed, the left side is read where it lies. */
#include <stddef.h>
#include <string.h>

#include "core/kernels/kernels.h"
#include "core/linalg/product.h"

#define DEPTH 256 /* of a panel, which stays in the first cache; a tile's panels stay in the second */
#define LEFT 96   /* rows of a transposed left side that are packed at once */

static int64_t padded(int64_t columns) { return gpt_round_up(columns, gpt_kernels()->panels->columns); }

/* A bias, the panels, and a packed left side */
int64_t gpt_panels_scratch(int64_t rows, int64_t columns, int64_t depth) {
  int64_t left = gpt_round_up(gpt_smaller(LEFT, rows), gpt_kernels()->panels->rows);
  return padded(columns) + gpt_smaller(DEPTH, depth) * (padded(columns) + left);
}

static const float *pad_bias(const float *bias, int64_t n, int64_t padded, float *scratch) {
  memset(scratch + n, 0, (size_t)(padded - n) * sizeof *scratch);
  return memcpy(scratch, bias, (size_t)n * sizeof *scratch);
}

static void pack_right(const GptMatrix *b, float *panels) {
  const GptPanels *kernels = gpt_kernels()->panels;
  if (gpt_by_rows(b)) kernels->pack_rows(panels, b->data, b->row_stride, b->rows, b->columns);
  else kernels->pack_columns(panels, b->data, b->column_stride, b->rows, b->columns);
}

/* What is left of it in the part of a product that begins there. */
static GptCausal causal_part(GptCausal causal, int64_t row, int64_t column, int64_t depth) {
  if (causal.keys == GPT_KEYS_ARE_ROWS) causal.past += depth - row;
  else causal.past += row - (causal.keys == GPT_KEYS_ARE_COLUMNS ? column : depth);
  return causal;
}

/* The block's rows from a, which lies by rows. */
static void multiply_where_it_lies(GptPanelBlock *block, const GptMatrix *a) {
  const GptPanels *kernels = gpt_kernels()->panels;
  block->left = a->data;
  block->left_row = a->row_stride;
  block->left_group = kernels->rows * a->row_stride;
  block->left_column = 1;
  block->m = a->rows;
  kernels->multiply(block);
}

static void multiply_packed(GptPanelBlock *block, const GptMatrix *a, float *scratch) {
  const GptPanels *kernels = gpt_kernels()->panels;
  const GptCausal causal = block->causal;
  float *c = block->c;
  block->left = scratch;
  block->left_row = 1;
  block->left_group = kernels->rows * a->columns;
  block->left_column = kernels->rows;
  for (int64_t i = 0; i < a->rows; i += LEFT) {
    block->m = gpt_smaller(LEFT, a->rows - i);
    block->c = c + i * block->ldc;
    block->causal = causal_part(causal, i, 0, 0);
    kernels->pack_left(scratch, a->data + i, a->column_stride, a->columns, block->m);
    kernels->multiply(block);
  }
}

void gpt_panels_tile(const GptProduct *p, int64_t row, int64_t column, float *scratch) {
  int64_t rows = gpt_smaller(p->tile_rows, p->c.rows - row),
          columns = gpt_smaller(p->tile_columns, p->c.columns - column);
  int64_t width = padded(columns), deepest = gpt_smaller(DEPTH, p->a.columns);
  float *panels = scratch + width, *left = panels + deepest * width;
  const float *bias = p->bias != NULL ? pad_bias(p->bias + column, columns, width, scratch) : NULL;
  int64_t k = 0;
  do {
    int64_t depth = gpt_smaller(DEPTH, p->a.columns - k);
    GptMatrix c = gpt_part(&p->c, row, rows, column, columns), a = gpt_part(&p->a, row, rows, k, depth),
              b = gpt_part(&p->b, k, depth, column, columns);
    GptPanelBlock block = {.c = c.data, .ldc = c.row_stride, .panels = panels, .n = columns, .k = depth,
                           .bias = k == 0 ? bias : NULL, .add = p->add || k > 0,
                           .causal = causal_part(p->causal, row, column, k)};
    pack_right(&b, panels);
    if (gpt_by_rows(&p->a)) multiply_where_it_lies(&block, &a);
    else multiply_packed(&block, &a, left);
    k += depth;
  } while (k < p->a.columns);
}
