/* Panels of a tree's weights, made ahead. */
#ifndef GPT_LAYER_PACK_H
#define GPT_LAYER_PACK_H

#include "core/nn/layer.h"

/*
 * Makes the panels that products of some rows (prompts, many conversations) are computed from, for the weights of every
 * Linear in the tree whose dtype has such; adjacent ones together. All lie in one piece of memory, which goes with the
 * last of the weights; those of a weight that is written to are used no more. False and a message without memory;
 * panels made so far stay.
 */
bool gpt_layer_pack(GptEnv *env, GptLayer *root);

#endif
