#include "core/ops/column_sums.h"

#include "core/kernels/kernels.h"
#include "core/base/parallel.h"

#define BLOCK 64 /* columns of an item */

typedef struct Sums {
  float *sums; /* [columns] */
  GptMatrix rows;
} Sums;

static void add_column_blocks(void *context, int64_t first, int64_t last) {
  const Sums *s = context;
  int64_t begin = first * BLOCK, end = last * BLOCK < s->rows.columns ? last * BLOCK : s->rows.columns;
  gpt_kernels()->add_columns(s->sums + begin, s->rows.data + begin, s->rows.row_stride, s->rows.rows, end - begin);
}

void gpt_add_column_sums(float *sums, GptMatrix rows) {
  int64_t blocks = (rows.columns + BLOCK - 1) / BLOCK;
  gpt_parallel_for(blocks, gpt_grain(2 * BLOCK * rows.rows), add_column_blocks, &(Sums){sums, rows});
}

bool gpt_give_column_sums(GptEnv *env, GptNode *node, int i, GptMatrix rows) {
  GptTensor *accumulated = gpt_node_accumulated(node, i);
  GptTensor *sums = accumulated != NULL ? accumulated : gpt_tensor_zeros(env, GPT_F32, 1, &rows.columns);
  if (sums == NULL) return false;
  gpt_add_column_sums(gpt_floats(sums), rows);
  if (accumulated == NULL) return gpt_node_give(env, node, i, sums);
  gpt_tensor_written(sums);
  return true;
}
