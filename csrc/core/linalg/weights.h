/*
 * Products with a weight of any dtype that can be read as floats: what linear maps and their way back are made of.
 * Everything else multiplies floats (matrix.h).
 */
#ifndef GPT_LINALG_WEIGHTS_H
#define GPT_LINALG_WEIGHTS_H

#include "core/kernels/dtype.h"
#include "core/linalg/matrix.h"

/* A weight in memory, [rows, columns] = [out, in]: number (i, j) is number i * row_stride + j * column_stride from data
   on. Of blocked dtypes rows lie side by side: column_stride is 1, row_stride a multiple of the block. */
typedef struct GptWeight {
  GptDtype dtype;
  const void *data;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
  const struct GptKeptPanels *kept; /* panels of it, or of a larger weight it is part of, made ahead (kept.h); or NULL */
} GptWeight;

/* Can it be multiplied where it lies? One of the strides is 1 (or its extent is), as in a GptMatrix. */
bool gpt_weight_fits(const GptWeight *w);

/*
 * y[m, rows] = x[m, columns] * w' (+ bias[rows] in each row, may be NULL). y's column_stride is 1. The same numbers
 * come out for any number of threads. False and a message without memory for its panels.
 *
 * Panels that were made ahead spare products of some rows the packing.
 *
 * Over blocks, x is rounded to 8 bits with a scale for each 32 numbers; over f16 and bf16, many rows and the weight are
 * rounded to bf16 where the processor multiplies that. Sums are f32. A row's last bits may differ between few rows and
 * many.
 */
bool gpt_weight_multiply(GptEnv *env, GptMatrix y, GptMatrix x, GptWeight w, const float *bias);

/* dx[m, columns] = dy[m, rows] * w (+ dx, if add). dx's column_stride is 1. */
bool gpt_weight_multiply_back(GptEnv *env, GptMatrix dx, GptMatrix dy, GptWeight w, bool add);

#endif
