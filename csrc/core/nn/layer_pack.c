#include "core/nn/layer_pack.h"

#include "core/base/memory.h"
#include "core/linalg/kept.h"
#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"
#include "core/ops/tensor_matrix.h"

static GptTensor *weight_of(const GptLayerList *layers, int64_t i) {
  const bool linear = i < layers->count && layers->layers[i]->kind == &gpt_linear_kind;
  return linear ? gpt_layer_parameter(layers->layers[i], "weight") : NULL;
}

static bool has_panels(const GptStorage *s) { return s->panels != NULL && s->panels_version == s->version; }

/* Packs the weight of layer i with those that follow behind it. */
static bool pack_run(GptEnv *env, const GptLayerList *layers, int64_t i) {
  const GptTensor *weight = weight_of(layers, i);
  GptWeight run = gpt_weight_of(weight);
  for (const GptTensor *next; (next = weight_of(layers, ++i)) != NULL && gpt_tensor_adjoins(weight, next); weight = next)
    run.rows += next->shape[0];
  if (!gpt_kept_useful(&run)) return true;
  GptStorage *storage = weight->storage;
  gpt_free(env, storage->panels);
  storage->panels = gpt_kept_new(env, &run);
  storage->panels_version = storage->version;
  return storage->panels != NULL;
}

bool gpt_layer_pack(GptEnv *env, GptLayer *root) {
  GptLayerList layers = {.env = env};
  bool done = gpt_layer_list(env, root, false, &layers);
  for (int64_t i = 0; i < layers.count && done; i++) {
    const GptTensor *weight = weight_of(&layers, i);
    if (weight != NULL && !has_panels(weight->storage)) done = pack_run(env, &layers, i);
  }
  gpt_layer_list_free(&layers);
  return done;
}
