/*
 * Low-rank adapters (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021): beside a Linear layer that
 * stays as it is, dropout(x) times a' times b' times alpha / rank, where a is [rank, in] and b [out, rank].
 */
#ifndef GPT_LORA_H
#define GPT_LORA_H

#include "core/nn/layers/layers.h"

typedef struct GptAdapterOptions {
  int64_t rank;
  double alpha, drop_rate;
} GptAdapterOptions;

/* A layer around a Linear, its child "base", and without adapters yet: it computes what base does. */
GptLayer *gpt_lora_new(GptEnv *env, GptLayer *base);
bool gpt_layer_is_lora(const GptLayer *layer);

/* An adapter for that LoRA layer, to become a child of it under the adapter's name: parameters a, drawn as a Linear's
 * weight, and b, zeros. */
GptLayer *gpt_adapter_new(GptEnv *env, const GptLayer *lora, GptAdapterOptions options, GptInit init);
bool gpt_layer_is_adapter(const GptLayer *layer);
GptAdapterOptions gpt_adapter_options(const GptLayer *adapter);

/* Which adapter is added to base: that child's name, or NULL for none. False and a message where there is none of that
 * name. Sessions notice, as they do when a part is exchanged. */
bool gpt_lora_use(GptEnv *env, GptLayer *lora, const char *name);

/* The same for every LoRA in a tree: one without an adapter of that name, or all with NULL, add none. It cannot fail. */
void gpt_lora_use_everywhere(GptEnv *env, GptLayer *root, const char *name);

/* Parameters of adapters in a tree require gradients, all others do not and have none. It cannot fail, but in a
 * finalizer, where nothing of the sort may be done. */
void gpt_lora_train_adapters(GptLayer *root);

/* The name of the one in use, or NULL; it belongs to the layer. */
const char *gpt_lora_active(const GptLayer *lora);

#endif
