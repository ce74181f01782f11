/* Layers without parameters that work element by element. */
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/layers.h"
#include "core/ops/unary.h"

static GptTensor *run_gelu(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass, (void)layer;
  return gpt_gelu(env, x);
}

static GptTensor *run_gelu_exact(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass, (void)layer;
  return gpt_gelu_exact(env, x);
}

static GptTensor *run_relu(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass, (void)layer;
  return gpt_relu(env, x);
}

static GptTensor *run_silu(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass, (void)layer;
  return gpt_silu(env, x);
}

static GptTensor *run_identity(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)env, (void)pass, (void)layer;
  return gpt_tensor_retain(x);
}

static void describe_exact(const GptLayer *layer, GptText *text) {
  (void)layer;
  gpt_text_add(text, "{ exact = true }");
}

const GptLayerKind gpt_gelu_kind = {.name = "GELU", .forward = run_gelu};
const GptLayerKind gpt_gelu_exact_kind = {.name = "GELU", .forward = run_gelu_exact, .describe = describe_exact};
const GptLayerKind gpt_relu_kind = {.name = "ReLU", .forward = run_relu};
const GptLayerKind gpt_silu_kind = {.name = "SiLU", .forward = run_silu};
const GptLayerKind gpt_identity_kind = {.name = "Identity", .forward = run_identity};

static const GptLayerKind *const kinds[] = {[GPT_GELU] = &gpt_gelu_kind,
                                            [GPT_GELU_EXACT] = &gpt_gelu_exact_kind,
                                            [GPT_RELU] = &gpt_relu_kind,
                                            [GPT_SILU] = &gpt_silu_kind};

GptLayer *gpt_activation_new(GptEnv *env, GptActivation activation) {
  return gpt_layer_new(env, kinds[activation], sizeof(GptLayer));
}

bool gpt_activation_of(const GptLayer *layer, GptActivation *activation) {
  for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++)
    if (layer->kind == kinds[i]) return *activation = (GptActivation)i, true;
  return false;
}

GptLayer *gpt_identity_new(GptEnv *env) { return gpt_layer_new(env, &gpt_identity_kind, sizeof(GptLayer)); }
