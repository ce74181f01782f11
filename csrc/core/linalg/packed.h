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
  const char *kept;  /* panels of w, made ahead, each gpt_kept_bytes long; or NULL */
  bool add;          /* to y; then without bias */
} GptPacked;

/* Bytes of a panel that is kept: its parts along k after each other. */
int64_t gpt_kept_bytes(const GptWeightPanels *kernels, int64_t k);

/* Panel number `number` of w, as it is kept. `scratch`: kernels->panel_bytes of the deepest part, aligned as floats. */
void gpt_pack_panel(const GptPacked *product, const GptWeightPanels *kernels, int64_t number, char *kept, float *scratch);

/* Floats of such scratch */
int64_t gpt_pack_scratch(const GptWeightPanels *kernels, int64_t k);

/* Few rows, m up to kernels->most; no add, x not across. False and a message without memory. */
bool gpt_few_rows_multiply(GptEnv *env, const GptPacked *product, const GptFewRowsKernels *kernels);

/* Any number of rows. The same element comes out for any number of threads. False and a message without memory. */
bool gpt_panels_multiply(GptEnv *env, const GptPacked *product, const GptWeightPanels *kernels);

#endif
