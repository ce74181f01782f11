/* A tensor around one of its dimensions: what the ops along a dimension stand on. */
#ifndef GPT_AXIS_H
#define GPT_AXIS_H

#include "core/tensor/tensor.h"

#define GPT_ALL_DIMS (-1)

/* A shape as [outer, n, inner]: n is the size of the dimension, outer and inner those before and behind it. Over all
 * dimensions [1, elements, 1]. */
typedef struct GptAxis {
  int64_t outer, n, inner;
} GptAxis;

GptAxis gpt_axis(int ndim, const int64_t *shape, int dim);
GptAxis gpt_tensor_axis(const GptTensor *x, int dim);

/* The same around the dimensions first .. last-1 together. */
GptAxis gpt_axis_range(int ndim, const int64_t *shape, int first, int last);

/* An axis cut into items for threads: up to GPT_COLUMNS columns of one [n, inner] each. How many there are, and where one
 * begins. */
#define GPT_COLUMNS 256

typedef struct GptColumns {
  int64_t outer, first, width;
} GptColumns;

int64_t gpt_column_items(GptAxis axis);
GptColumns gpt_column_item(GptAxis axis, int64_t item);

/* How many floats an item goes over, for gpt_grain. */
int64_t gpt_column_cost(GptAxis axis);

/* A view of the same elements with dimension `from` moved to the place `to`, the others in their order; unrecorded.
 * NULL for NULL, both of them. */
GptTensor *gpt_dim_moved(GptEnv *env, const GptTensor *x, int from, int to);

/* x, or a copy of it, contiguous and with dimension dim moved to the end: rows for kernels; unrecorded. */
GptTensor *gpt_rows_along(GptEnv *env, GptTensor *x, int dim);

#endif
