#include "core/ops/rms_norm.h"

#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"

typedef struct RmsNorm {
  GptLayer layer;
  double eps, offset;
} RmsNorm;

static GptTensor *rms_norm_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  const RmsNorm *norm = (const RmsNorm *)layer;
  (void)pass;
  return gpt_rms_norm(env, x, gpt_layer_parameter(layer, "weight"), norm->eps, norm->offset);
}

static void rms_norm_describe(const GptLayer *layer, GptText *text) {
  const RmsNorm *norm = (const RmsNorm *)layer;
  gpt_text_add(text, "%lld", (long long)gpt_layer_parameter(layer, "weight")->shape[0]);
  if (norm->eps != 1e-6 && norm->offset != 0) gpt_text_add(text, ", { eps = %g, offset = %g }", norm->eps, norm->offset);
  else if (norm->eps != 1e-6) gpt_text_add(text, ", { eps = %g }", norm->eps);
  else if (norm->offset != 0) gpt_text_add(text, ", { offset = %g }", norm->offset);
}

const GptLayerKind gpt_rms_norm_kind = {.name = "RMSNorm", .forward = rms_norm_forward, .describe = rms_norm_describe};

GptLayer *gpt_rms_norm_new(GptEnv *env, int64_t dim, double eps, double offset, GptInit init) {
  RmsNorm *norm = gpt_layer_new(env, &gpt_rms_norm_kind, sizeof *norm);
  if (norm == NULL) return NULL;
  norm->eps = eps;
  norm->offset = offset;
  GptTensor *weight = gpt_weight_new(env, init, 1, &dim);
  gpt_weight_fill(weight, init, (float)(1 - offset));
  if (gpt_layer_adopt(env, &norm->layer, "weight", weight)) return &norm->layer;
  gpt_layer_release(&norm->layer);
  return NULL;
}
