/*
 * How ranks share a parameter (ZeRO-1, Rajbhandari et al. 2020): each steps some of its rows, and only that rank has the
 * moments of these. Small parameters are one rank's as a whole, one after the other.
 */
#ifndef GPT_SHARE_H
#define GPT_SHARE_H

#include "core/tensor/tensor.h"

typedef struct GptShare {
  int64_t first, rows; /* of the first dimension; a tensor without dimensions is one row */
} GptShare;

/* The rows of parameter number `index` that are that rank's. A share begins at a multiple of 64 numbers: so blocks of
   reduced moments are those of the whole parameter. */
GptShare gpt_share_of(const GptTensor *parameter, int64_t index, int rank, int size);

/* Numbers of a row. */
int64_t gpt_share_row(const GptTensor *parameter);

/* A view of these rows; of no rows: empty. */
GptTensor *gpt_share_view(GptEnv *env, const GptTensor *parameter, GptShare share);

#endif
