/* A tree of layers as text. */
#ifndef GPT_LAYER_PRINT_H
#define GPT_LAYER_PRINT_H

#include "core/nn/layer.h"

/*
 * Prints the tree as the Lua that makes it, with counts of parameters as comments. Neighbours that are alike print
 * once, with their number. A layer with parameters or parts that stands in several places is printed at the first one;
 * the others name that place. So the text is linear in the number of distinct layers. Failures are the text's.
 */
void gpt_layer_print(GptLayer *layer, GptText *text);

/* Prints the layer without its parts: "Linear(3, 4)", "FeedForward { emb_dim = 3, hidden_dim = 12 }". */
void gpt_layer_print_alone(GptLayer *layer, GptText *text);

#endif
