/* The backward pass through the graph (reverse-mode automatic differentiation). */
#ifndef GPT_BACKWARD_H
#define GPT_BACKWARD_H

#include "core/tensor/graph.h"

/*
 * Adds the gradient of root, which holds one number, to the grad of every leaf it was computed from. The graph is
 * freed on the way, unless keep. Fails, with nothing changed, where root is no scalar, was not recorded, its
 * graph was freed, or something a backward needs was written to since.
 */
bool gpt_backward(GptEnv *env, GptTensor *root, bool keep);

/*
 * For an op whose backward records something and goes back through it: root's gradient is grad, of its shape. Fails where
 * that comes upon a node that is not newer than the environment's sequence number `since`, for then it would leave what
 * the op recorded.
 */
bool gpt_backward_from(GptEnv *env, GptTensor *root, GptTensor *grad, uint64_t since);

#endif
