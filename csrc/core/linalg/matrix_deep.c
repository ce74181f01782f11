/*
 * Products of few rows with a weight stored [in, out], its rows in some equal parts: a thread reads whole rows, in one
 * long stream, where a share of the columns would have it read a piece of each. Each part has sums of its own, which are
 * added up in their order. The number of parts follows from the shape alone.
 */
#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "core/linalg/product.h"

#define PARTS 8
#define LEAST_DEPTH 768   /* below it the parts' sums cost more than they save */
#define MOST_COLUMNS 8192 /* of longer rows a share is a long stream too */
#define ADD_GRAIN 1024    /* columns */

typedef struct Deep {
  const GptProduct *product;
  float *sums; /* [PARTS, rows, columns] */
} Deep;

bool gpt_is_deep(const GptProduct *p) {
  return p->a.columns >= LEAST_DEPTH && p->c.columns <= MOST_COLUMNS && gpt_by_rows(&p->b) && p->b.row_stride != 1;
}

static void multiply_parts(void *context, int64_t first, int64_t last) {
  const Deep *deep = context;
  const GptProduct *p = deep->product;
  const int64_t k = p->a.columns, n = p->c.columns, size = p->c.rows * n;
  for (int64_t i = first; i < last; i++) {
    const int64_t begin = k * i / PARTS, depth = k * (i + 1) / PARTS - begin;
    gpt_kernels()->skinny_columns(deep->sums + i * size, n, p->a.data + begin, p->a.row_stride,
                                  p->b.data + begin * p->b.row_stride, p->b.row_stride, i == 0 ? p->bias : NULL, p->c.rows,
                                  depth, 0, n);
  }
}

static void add_parts(void *context, int64_t first, int64_t last) {
  const Deep *deep = context;
  const GptProduct *p = deep->product;
  const int64_t n = p->c.columns;
  for (int64_t row = 0; row < p->c.rows; row++) {
    float *y = p->c.data + row * p->c.row_stride + first;
    const float *sums = deep->sums + row * n + first;
    gpt_kernels()->add(y, sums, sums + p->c.rows * n, last - first);
    for (int64_t i = 2; i < PARTS; i++) gpt_kernels()->add(y, y, sums + i * p->c.rows * n, last - first);
  }
}

bool gpt_deep_multiply(GptEnv *env, const GptProduct *p) {
  Deep deep = {p, gpt_alloc(env, (size_t)(PARTS * p->c.rows * p->c.columns) * sizeof(float))};
  if (deep.sums == NULL) return false;
  gpt_parallel_for(PARTS, 1, multiply_parts, &deep);
  gpt_parallel_for(p->c.columns, ADD_GRAIN, add_parts, &deep);
  gpt_free(env, deep.sums);
  return true;
}
