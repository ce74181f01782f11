#include "core/train/share.h"

#include <string.h>

#define ALIGNED 64    /* numbers */
#define SMALLEST 1024 /* numbers for each rank: below, a parameter is not worth cutting */

int64_t gpt_share_row(const GptTensor *parameter) {
  int64_t numbers = 1;
  for (int d = 1; d < parameter->ndim; d++) numbers *= parameter->shape[d];
  return numbers;
}

/* The fewest rows that are a multiple of ALIGNED numbers: ALIGNED is a power of 2. */
static int64_t aligned_rows(int64_t row) {
  int64_t rows = ALIGNED;
  while (rows > 1 && row % 2 == 0) rows /= 2, row /= 2;
  return rows;
}

GptShare gpt_share_of(const GptTensor *parameter, int64_t index, int rank, int size) {
  int64_t rows = parameter->ndim > 0 ? parameter->shape[0] : 1, row = gpt_share_row(parameter);
  int64_t unit = row > 0 ? aligned_rows(row) : 1, units = (rows + unit - 1) / unit;
  if (units < size || rows * row < (int64_t)size * SMALLEST) return (GptShare){0, index % size == rank ? rows : 0};
  int64_t first = units * rank / size * unit, last = units * (rank + 1) / size * unit;
  return (GptShare){first, (last < rows ? last : rows) - first};
}

GptTensor *gpt_share_view(GptEnv *env, const GptTensor *parameter, GptShare share) {
  int64_t shape[GPT_MAX_DIMS] = {0}, stride[GPT_MAX_DIMS] = {1};
  int ndim = parameter->ndim;
  memcpy(shape, parameter->shape, sizeof shape);
  memcpy(stride, parameter->stride, sizeof stride);
  if (ndim == 0 && share.rows == 0) ndim = 1;
  if (ndim > 0) shape[0] = share.rows;
  int64_t offset = parameter->ndim > 0 ? share.first * parameter->stride[0] : 0;
  return gpt_tensor_view(env, parameter, ndim, shape, stride, parameter->offset + offset);
}
