/*
 * Kernels of products with weights of one dtype: y[m, n] = x[m, k] w[n, k]' + bias. Each set of kernels has a row of
 * them for each dtype; NULL says that it has nothing for it.
 */
#ifndef GPT_WEIGHT_KERNELS_H
#define GPT_WEIGHT_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

/* A product of few rows. The weight's rows lie side by side; or, across, the first numbers of all rows do, w_bytes before
   the second ones. */
typedef struct GptFewRows {
  float *y;
  int64_t ldy;
  const void *x; /* m rows of the input: floats, or what `prepare` made of them */
  int64_t x_bytes;
  const void *w;
  int64_t w_bytes;   /* between rows; across, between numbers of a row */
  const float *bias; /* or NULL */
  int64_t m, k;
  bool add;         /* across only: y is added to; then there is no bias */
  const void *next; /* of a float weight, or across: where rows go on behind the last, to be asked for; or NULL */
} GptFewRows;

typedef struct GptFewRowsKernels {
  int64_t most;        /* rows up to which they are faster than others */
  int64_t most_across; /* the same where the weight lies across */
  /* What a row of k floats becomes, and its bytes, a multiple of 64; NULL: it stays as it is. */
  int64_t (*input_bytes)(int64_t k);
  void (*prepare)(void *to, const float *x, int64_t k);
  /* y[i, j] for j in [first, last). The sum of one element never depends on m, nor on first and last. */
  void (*multiply)(const GptFewRows *product, int64_t first, int64_t last);
  /* The same, across; NULL for blocks, which never lie so. */
  void (*multiply_across)(const GptFewRows *product, int64_t first, int64_t last);
} GptFewRowsKernels;

/* Lines of k numbers: line i begins at data + i * bytes and lies side by side; or, across, the first numbers of all
   lines lie side by side at data, the second ones at data + bytes. */
typedef struct GptLines {
  const void *data;
  int64_t bytes;
  bool across;
} GptLines;

#define GPT_VERY_FEW_ROWS 4 /* of the input: products that only memory bounds */

/* A group of the input's rows by one panel: y[m, n] = x[m, k] panel[n, k]' (+ bias, or NULL), or y += it. */
typedef struct GptPanelProduct {
  float *y;
  int64_t ldy;
  const void *panel, *x;
  const float *bias;
  int64_t m, n, k;
  int64_t first; /* of the input's numbers along k is the panel's first */
  bool add;
  const char *ahead;   /* to be asked for on the way: from there on, in each `ahead_every`th step as many bytes as a */
  int64_t ahead_every; /* step has of the panel; or NULL */
} GptPanelProduct;

/* Products of many rows: the weight's rows in panels, the input's in groups. The sum of one element depends on k alone. */
typedef struct GptWeightPanels {
  int64_t rows;       /* of the weight in a panel */
  int64_t group_rows; /* of the input in a group, at most */
  int64_t depth;      /* numbers of a panel along k, at most; 0: all */
  int64_t (*panel_bytes)(int64_t k); /* what `pack` writes to, */
  int64_t (*kept_bytes)(int64_t k);  /* of which `multiply` reads so many, a multiple of 64 */
  void (*pack)(void *panel, const GptLines *w, int64_t rows, int64_t k);
  int64_t (*group_bytes)(int64_t m, int64_t k);
  void (*pack_input)(void *group, const GptLines *x, int64_t m, int64_t k); /* from floats */
  void (*multiply)(const GptPanelProduct *product);
} GptWeightPanels;

typedef struct GptWeightKernels {
  const GptFewRowsKernels *few;
  const GptFewRowsKernels *some; /* for a few more rows, rounded as by the panels */
  const GptWeightPanels *panels;
} GptWeightKernels;

#endif
