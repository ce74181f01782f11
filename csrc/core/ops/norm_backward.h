/* The frame that the backwards of layer_norm and rms_norm share. Private to them. */
#ifndef GPT_NORM_BACKWARD_H
#define GPT_NORM_BACKWARD_H

#include "core/tensor/graph.h"

typedef struct GptNormBack {
  float *dx;            /* [rows, n] */
  const float *dy, *x;  /* [rows, n] */
  const float *weight;  /* [n], or NULL */
  const float *stats;   /* of each row what the forward kept */
  int64_t rows, n;
  double number; /* the node's first */
} GptNormBack;

/* The way back of one row: its dx, and what it adds to sums, [vectors, n] (NULL where there are none). */
typedef void (*GptNormRow)(const GptNormBack *back, int64_t row, float *sums);

/*
 * The backward of a node with inputs x and vectors [n], and saves x, weight (or NULL) and stats, all contiguous. `vectors`
 * of the inputs behind x have sums, which are handed out where they are wanted. Rows are cut into chunks by shape, each
 * with sums of its own.
 */
bool gpt_norm_backward(GptEnv *env, GptNode *node, GptTensor *grad, int vectors, GptNormRow row);

#endif
