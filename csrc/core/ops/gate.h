/* The product in a gated feed-forward layer (Shazeer, "GLU Variants Improve Transformer", 2020). */
#ifndef GPT_OPS_GATE_H
#define GPT_OPS_GATE_H

#include "core/kernels/kernels.h"
#include "core/tensor/tensor.h"

/* f(gate) * expanded for x [..., 2 n], gate and expanded side by side in it: [..., n], in one pass over memory. */
GptTensor *gpt_gate(GptEnv *env, GptTensor *x, GptActivation activation);

#endif
