#include "core/ops/layer_norm.h"

#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"

typedef struct LayerNorm {
  GptLayer layer;
  double eps;
} LayerNorm;

static GptTensor *layer_norm_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass;
  return gpt_layer_norm(env, x, gpt_layer_parameter(layer, "weight"), gpt_layer_parameter(layer, "bias"),
                        ((LayerNorm *)layer)->eps);
}

static void layer_norm_describe(const GptLayer *layer, GptText *text) {
  double eps = ((const LayerNorm *)layer)->eps;
  gpt_text_add(text, "%lld", (long long)gpt_layer_parameter(layer, "weight")->shape[0]);
  if (eps != 1e-5) gpt_text_add(text, ", { eps = %g }", eps);
}

const GptLayerKind gpt_layer_norm_kind = {
    .name = "LayerNorm", .forward = layer_norm_forward, .describe = layer_norm_describe};

GptLayer *gpt_layer_norm_new(GptEnv *env, int64_t dim, double eps, GptInit init) {
  LayerNorm *norm = gpt_layer_new(env, &gpt_layer_norm_kind, sizeof *norm);
  if (norm == NULL) return NULL;
  norm->eps = eps;
  GptTensor *weight = gpt_weight_new(env, init, 1, &dim),
            *bias = weight != NULL ? gpt_weight_new(env, init, 1, &dim) : NULL;
  gpt_weight_fill(weight, init, 1);
  gpt_weight_fill(bias, init, 0);
  bool done = gpt_layer_adopt(env, &norm->layer, "weight", weight);
  if (gpt_layer_adopt(env, &norm->layer, "bias", bias) && done) return &norm->layer;
  gpt_layer_release(&norm->layer);
  return NULL;
}
