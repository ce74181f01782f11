/*
 * What the reductions share: the reduced dimension as rows for kernels, and a node from which a backward finds its
 * way to the input's shape. Private to the reductions.
 */
#ifndef GPT_REDUCTION_H
#define GPT_REDUCTION_H

#include "core/tensor/graph.h"

/* x as rows: the reduced dimension moved to the end and contiguous, or all elements as one row. */
typedef struct GptRows {
  GptTensor *x;     /* a reference, to be released */
  int64_t count, n; /* rows, and elements in each */
} GptRows;

bool gpt_rows_of(GptEnv *env, GptTensor *x, int dim, GptRows *rows);

/* False and a message, which name starts, where each row is empty, so that there is nothing to choose. */
bool gpt_check_not_empty(GptEnv *env, const char *name, const GptTensor *x, int dim);

/* A new tensor of the shape that is left of x's. */
GptTensor *gpt_reduced_new(GptEnv *env, GptDtype dtype, const GptTensor *x, int dim, bool keepdim);

/* Adds y = op(x) to the graph; number is the op's own. keepdim need not be told: the gradient's shape tells it. */
GptTensor *gpt_graph_add_reduction(GptEnv *env, const GptOp *op, GptTensor *y, GptTensor *x, int dim,
                                   GptTensor *const saves[2], double number);

double gpt_reduction_number(const GptNode *node);

/* In its backward: uninitialised rows of the input's shape. */
bool gpt_gradient_rows(GptEnv *env, const GptNode *node, GptRows *rows);

/* Hands the input the gradient in rows; takes it over. */
bool gpt_give_rows(GptEnv *env, GptNode *node, GptRows *rows);

/* The output's gradient, stretched to the input's shape: a view. NULL for NULL. */
GptTensor *gpt_stretched(GptEnv *env, const GptNode *node, const GptTensor *grad);

#endif
