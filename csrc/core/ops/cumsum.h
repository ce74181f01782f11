/* Running sums. */
#ifndef GPT_OPS_CUMSUM_H
#define GPT_OPS_CUMSUM_H

#include "core/tensor/tensor.h"

/* Each element with all before it along dim, x's shape; i64 stays i64. Sums have double accumulators. Recorded. */
GptTensor *gpt_cumsum(GptEnv *env, GptTensor *x, int dim);

#endif
