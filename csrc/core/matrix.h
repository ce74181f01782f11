/*
 * Matrix products in float32 over plain memory: the one place that calls OpenBLAS. Calls are one-threaded and cut
 * into tiles by shape, which the thread pool shares; products with few rows go to the kernels that read each weight
 * once.
 */
#ifndef GPT_MATRIX_H
#define GPT_MATRIX_H

#include <stdbool.h>
#include <stdint.h>

/* A matrix in memory: element (i, j) lies at data[i * row_stride + j * column_stride]; one of the strides is 1 (or
   its extent is 1). */
typedef struct GptMatrix {
  float *data;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
} GptMatrix;

/*
 * c[m, n] = a[m, k] * b[k, n] (+ c, if add) (+ bias[n] in each row, may be NULL). c's column_stride is 1.
 * The same element comes out for any number of threads. A row's last bits may differ with m (OpenBLAS has several
 * kernels).
 */
void gpt_matrix_multiply(GptMatrix c, GptMatrix a, GptMatrix b, const float *bias, bool add);

/* The same on the calling thread alone, for use inside a parallel loop. */
void gpt_matrix_multiply_serial(GptMatrix c, GptMatrix a, GptMatrix b, float alpha, bool add);

#endif
