/*
 * Matrix products in float32 over plain memory: cut into tiles that the thread pool shares. A tile comes from our
 * own panels, or from OpenBLAS on one thread where the processor's set of kernels has none; products with few rows go
 * to the kernels that read each weight once.
 */
#ifndef GPT_MATRIX_H
#define GPT_MATRIX_H

#include "core/base/env.h"
#include "core/base/scratch.h"
#include "core/kernels/kernels.h"

/* A matrix in memory: element (i, j) lies at data[i * row_stride + j * column_stride]. In a product one of the strides
   is 1 (or its extent is 1), and the other reaches past what lies side by side. */
typedef struct GptMatrix {
  float *data;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
} GptMatrix;

static inline GptMatrix gpt_matrix_transposed(GptMatrix m) {
  return (GptMatrix){m.data, m.columns, m.rows, m.column_stride, m.row_stride};
}

/* Can it be multiplied where it lies? */
bool gpt_matrix_fits(GptMatrix m);

/*
 * c[m, n] = a[m, k] * b[k, n] (+ c, if add) (+ bias[n] in each row, may be NULL). c's column_stride is 1.
 * The same element comes out for any number of threads. A row's last bits may differ between few rows and many; many are
 * multiplied in bf16 where the environment allows it (env.h) and the processor can. False and a message without memory
 * for its panels.
 */
bool gpt_matrix_multiply(GptEnv *env, GptMatrix c, GptMatrix a, GptMatrix b, const float *bias, bool add);

/* The same on the calling thread alone, for use inside a parallel loop, with scratch for at least as many rows and
   columns and so deep a product; perhaps without what `causal` leaves out. The loop's scratch comes from
   gpt_matrix_scratch_init, which also makes sure of the memory that products take elsewhere. */
void gpt_matrix_multiply_serial(GptMatrix c, GptMatrix a, GptMatrix b, bool add, GptCausal causal, float *scratch);
int64_t gpt_matrix_scratch(int64_t rows, int64_t columns, int64_t depth); /* in floats */
bool gpt_matrix_scratch_init(GptScratch *scratch, GptEnv *env, int64_t floats, int64_t items);

#endif
