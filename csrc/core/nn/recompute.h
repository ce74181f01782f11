/*
 * Less memory for more time (Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016): of what a layer computes
 * only its input is kept; the backward pass runs it again.
 */
#ifndef GPT_RECOMPUTE_H
#define GPT_RECOMPUTE_H

#include "core/nn/layer.h"

/*
 * Runs the child on x as gpt_child_run does, with the same result and, later, the same gradients, bit for bit: random
 * numbers are drawn again as they were. What the layer reads beside x must be leaves (parameters, or tensors that need
 * no gradient); another tensor's graph is an error in backward. Where nothing is recorded, or where somebody watches the
 * pass, it is gpt_child_run.
 */
GptTensor *gpt_recompute(GptEnv *env, GptPass *pass, const GptChild *child, GptTensor *x);

#endif
