/* Dtypes of a tree's weights. */
#ifndef GPT_LAYER_DTYPE_H
#define GPT_LAYER_DTYPE_H

#include "core/nn/layer.h"

/*
 * Converts the weights of every Linear and Embedding in the tree, all of them or none. Tensors stay themselves and see
 * new numbers, so what is tied stays tied, and what was adjacent in a storage is so in the new one. A weight whose rows
 * are no whole blocks of the dtype becomes f16. One that becomes f32 requires a gradient, any other none.
 */
bool gpt_layer_convert(GptEnv *env, GptLayer *root, GptDtype dtype);

#endif
