/* New parameters: drawn, constant, or shapes without memory. */
#ifndef GPT_WEIGHTS_H
#define GPT_WEIGHTS_H

#include "core/nn/layers/layers.h"

/* A weight of that shape that requires a gradient, not yet drawn. */
GptTensor *gpt_weight_new(GptEnv *env, GptInit init, int ndim, const int64_t *shape);

/* Fills one, unless it is absent. fan_in: PyTorch draws a Linear's weight and bias uniformly within 1 / sqrt(fan_in)
   (its default Kaiming initialisation, He et al. 2015, with a = sqrt(5)). */
void gpt_weight_draw_linear(GptTensor *weight, GptTensor *bias, GptInit init, int64_t fan_in);
void gpt_weight_draw_normal(GptTensor *weight, GptInit init);
void gpt_weight_fill(GptTensor *weight, GptInit init, float value);

/* Hands a fresh parameter over to a layer: sets it and releases the caller's reference. False where tensor is NULL. */
bool gpt_layer_adopt(GptEnv *env, GptLayer *layer, const char *name, GptTensor *tensor);

/* The same for a fresh child. */
bool gpt_layer_adopt_child(GptEnv *env, GptLayer *layer, const char *name, GptLayer *child);

#endif
