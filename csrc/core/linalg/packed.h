/*
 * Products y[m, n] = x[m, k] w[n, k]' by the kernels of the weight's dtype (kernels/weights.h): few rows read the weight
 * where it lies, many rows pack it panel by panel on the way.
 */
#ifndef GPT_PACKED_H
#define GPT_PACKED_H

#include "core/linalg/matrix.h"

typedef struct GptPacked {
  GptMatrix y; /* [m, n], column_stride 1 */
  GptLines x;  /* m lines of k floats */
  GptLines w;  /* n lines of k numbers */
  size_t w_size; /* bytes of one of its numbers, where it lies across */
  int64_t k;
  const float *bias; /* [n] or NULL */
  bool add;          /* to y; then without bias */
} GptPacked;

/* Few rows, m up to kernels->most; no add, x not across. False and a message without memory. */
bool gpt_few_rows_multiply(GptEnv *env, const GptPacked *product, const GptFewRowsKernels *kernels);

/* Any number of rows. The same element comes out for any number of threads. False and a message without memory. */
bool gpt_panels_multiply(GptEnv *env, const GptPacked *product, const GptWeightPanels *kernels);

#endif
