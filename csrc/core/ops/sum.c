#include "core/ops/sum.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/parallel.h"

#define CHUNK 4096  /* of n: summed by one thread */
#define COLUMNS 256 /* of inner: summed side by side */
#define LANES 8

/* One sum, cut into items: (outer, chunk of n, block of columns). */
typedef struct Sum {
  const float *x;  /* [outer, n, inner] */
  double *partial; /* [outer, chunks, inner]; NULL with one chunk: y gets the sums */
  float *y;        /* [outer, inner] */
  int64_t n, inner, chunks, blocks;
  double scale;
} Sum;

/* In LANES sums side by side. */
static double sum_row(const float *x, int64_t n) {
  double sums[LANES] = {0}, sum = 0;
  int64_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int64_t lane = 0; lane < LANES; lane++) sums[lane] += (double)x[i + lane];
  for (; i < n; i++) sum += (double)x[i];
  for (int lane = 0; lane < LANES; lane++) sum += sums[lane];
  return sum;
}

/* sums[width] of n rows, ld floats apart */
static void sum_columns(double *sums, const float *x, int64_t n, int64_t ld, int64_t width) {
  memset(sums, 0, (size_t)width * sizeof *sums);
  for (int64_t i = 0; i < n; i++)
    for (int64_t j = 0; j < width; j++) sums[j] += (double)x[i * ld + j];
}

static void sum_item(const Sum *sum, int64_t item) {
  double sums[COLUMNS];
  int64_t column = item % sum->blocks * COLUMNS, chunk = item / sum->blocks % sum->chunks;
  int64_t outer = item / sum->blocks / sum->chunks, left = sum->n - chunk * CHUNK, rows = left < CHUNK ? left : CHUNK;
  int64_t width = sum->inner - column < COLUMNS ? sum->inner - column : COLUMNS;
  const float *x = sum->x + (outer * sum->n + chunk * CHUNK) * sum->inner + column;
  if (sum->inner == 1) sums[0] = sum_row(x, rows);
  else sum_columns(sums, x, rows, sum->inner, width);
  if (sum->partial != NULL) {
    memcpy(sum->partial + (outer * sum->chunks + chunk) * sum->inner + column, sums, (size_t)width * sizeof *sums);
    return;
  }
  for (int64_t j = 0; j < width; j++) sum->y[outer * sum->inner + column + j] = (float)(sums[j] * sum->scale);
}

static void sum_items(void *context, int64_t first, int64_t last) {
  for (int64_t item = first; item < last; item++) sum_item(context, item);
}

/* y[outer, inner] from the chunks' sums, in their order. */
static void join_chunks(const Sum *sum, int64_t outer) {
  for (int64_t o = 0; o < outer; o++)
    for (int64_t j = 0; j < sum->inner; j++) {
      double total = 0;
      for (int64_t c = 0; c < sum->chunks; c++) total += sum->partial[(o * sum->chunks + c) * sum->inner + j];
      sum->y[o * sum->inner + j] = (float)(total * sum->scale);
    }
}

bool gpt_sum_axis(GptEnv *env, float *y, const float *x, GptAxis axis, double scale) {
  if (axis.outer == 0 || axis.inner == 0) return true;
  Sum sum = {.x = x, .y = y, .n = axis.n, .inner = axis.inner, .scale = scale};
  sum.chunks = axis.n <= CHUNK ? 1 : (axis.n + CHUNK - 1) / CHUNK;
  sum.blocks = (axis.inner + COLUMNS - 1) / COLUMNS;
  if (sum.chunks > 1) {
    sum.partial = gpt_alloc_array(env, axis.outer * sum.chunks * axis.inner, sizeof *sum.partial);
    if (sum.partial == NULL) return false;
  }
  int64_t each = (axis.n < CHUNK ? axis.n : CHUNK) * (axis.inner < COLUMNS ? axis.inner : COLUMNS);
  gpt_parallel_for(axis.outer * sum.chunks * sum.blocks, gpt_grain(each), sum_items, &sum);
  if (sum.partial != NULL) join_chunks(&sum, axis.outer);
  gpt_free(env, sum.partial);
  return true;
}
