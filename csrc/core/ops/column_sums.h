/* Gradients of biases and the like: the rows of a matrix added up. */
#ifndef GPT_COLUMN_SUMS_H
#define GPT_COLUMN_SUMS_H

#include "core/linalg/matrix.h"
#include "core/tensor/graph.h"

/* sums[j] += the sum of column j, on several threads, always in the same order. The matrix's column_stride is 1. */
void gpt_add_column_sums(float *sums, GptMatrix rows);

/* Hands input i of a node, a vector, the column sums as its gradient. */
bool gpt_give_column_sums(GptEnv *env, GptNode *node, int i, GptMatrix rows);

#endif
