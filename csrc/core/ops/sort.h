/* Order along a dim. nan counts as the largest; equal elements keep their order. Values record themselves. */
#ifndef GPT_OPS_SORT_H
#define GPT_OPS_SORT_H

#include "core/tensor/tensor.h"

/* Both return values and their positions (i64, from 0) through the pointers, NULL on failure. */
bool gpt_sort(GptEnv *env, GptTensor *x, int dim, bool descending, GptTensor **values, GptTensor **positions);

/* The k largest (or smallest), best first. */
bool gpt_topk(GptEnv *env, GptTensor *x, int64_t k, int dim, bool largest, GptTensor **values, GptTensor **positions);

#endif
