/* The kinds, for those who must tell one from another. */
#ifndef GPT_KINDS_H
#define GPT_KINDS_H

#include "core/kernels/kernels.h"
#include "core/nn/layer.h"

extern const GptLayerKind gpt_linear_kind;
extern const GptLayerKind gpt_embedding_kind;
extern const GptLayerKind gpt_layer_norm_kind;
extern const GptLayerKind gpt_rms_norm_kind;
extern const GptLayerKind gpt_dropout_kind;
extern const GptLayerKind gpt_gelu_kind;
extern const GptLayerKind gpt_gelu_exact_kind;
extern const GptLayerKind gpt_relu_kind;
extern const GptLayerKind gpt_silu_kind;
extern const GptLayerKind gpt_identity_kind;
extern const GptLayerKind gpt_sequential_kind;
extern const GptLayerKind gpt_list_kind;
extern const GptLayerKind gpt_shortcut_kind;
extern const GptLayerKind gpt_attention_kind;
extern const GptLayerKind gpt_feed_forward_kind;
extern const GptLayerKind gpt_block_kind;
extern const GptLayerKind gpt_lora_kind;
extern const GptLayerKind gpt_adapter_kind;
extern const GptLayerKind gpt_model_kind;

/* Is the layer an activation? Then it says which. */
bool gpt_activation_of(const GptLayer *layer, GptActivation *activation);

#endif
