/* The backward pass through the graph (reverse-mode automatic differentiation). */
#ifndef GPT_BACKWARD_H
#define GPT_BACKWARD_H

#include "core/tensor/graph.h"

/*
 * Tells when a backward has finished the gradient of a leaf: when the last op that adds to it has gone back, be there a
 * gradient or not. A backward that an op goes through by itself (gpt_backward_from) does not tell.
 */
typedef struct GptWatch {
  bool (*ready)(GptEnv *env, struct GptWatch *watch); /* where it fails, so does the backward */
  uint64_t backward; /* the last one that came to the leaf; and of its nodes that add to it, the sequence number of */
  uint64_t node;     /* that which comes last; 0: it has told */
} GptWatch;

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
