/* Panels of a tree's weights, made ahead. */
#ifndef GPT_LAYER_PACK_H
#define GPT_LAYER_PACK_H

#include "core/nn/layer.h"

/*
 * Makes the panels that products of some rows (prompts, many conversations) are computed from, for the weights of every
 * Linear in the tree whose dtype has such; adjacent ones together. They stay beside the weights until these go or are
 * written to. False and a message without memory; panels made so far stay.
 */
bool gpt_layer_pack(GptEnv *env, GptLayer *root);

#endif
