#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/embedding.h"

static GptTensor *embedding_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *ids) {
  (void)pass;
  return gpt_embedding(env, ids, gpt_layer_parameter(layer, "weight"));
}

static void embedding_describe(const GptLayer *layer, GptText *text) {
  const GptTensor *weight = gpt_layer_parameter(layer, "weight");
  GptDtype dtype = weight->storage->dtype;
  gpt_text_add(text, "%lld, %lld", (long long)weight->shape[0], (long long)weight->shape[1]);
  if (dtype != GPT_F32) gpt_text_add(text, ", { dtype = \"%s\" }", gpt_dtype_name(dtype));
}

const GptLayerKind gpt_embedding_kind = {
    .name = "Embedding", .forward = embedding_forward, .describe = embedding_describe};

GptLayer *gpt_embedding_new(GptEnv *env, int64_t n, int64_t dim, GptInit init) {
  GptLayer *layer = gpt_layer_new(env, &gpt_embedding_kind, sizeof *layer);
  if (layer == NULL) return NULL;
  GptTensor *weight = gpt_weight_new(env, init, 2, (int64_t[]){n, dim});
  if (weight != NULL) gpt_weight_draw_normal(weight, init);
  if (gpt_layer_adopt(env, layer, "weight", weight)) return layer;
  gpt_layer_release(layer);
  return NULL;
}
