#include "core/nn/layer_pack.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/linalg/kept.h"
#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"
#include "core/ops/tensor_matrix.h"

static GptTensor *weight_of(const GptLayerList *layers, int64_t i) {
  const bool linear = i < layers->count && layers->layers[i]->kind == &gpt_linear_kind;
  return linear ? gpt_layer_parameter(layers->layers[i], "weight") : NULL;
}

/* A weight with those that follow behind it in one storage */
typedef struct Run {
  GptStorage *storage;
  GptWeight weight;
  size_t bytes; /* of panels */
} Run;

static bool has_panels(const GptStorage *s) { return s->panels != NULL && s->panels_version == s->version; }

static Run run_of(const GptLayerList *layers, int64_t i) {
  const GptTensor *weight = weight_of(layers, i);
  Run run = {.storage = weight->storage, .weight = gpt_weight_of(weight)};
  for (const GptTensor *next; (next = weight_of(layers, ++i)) != NULL && gpt_tensor_adjoins(weight, next); weight = next)
    run.weight.rows += next->shape[0];
  run.bytes = gpt_kept_size(&run.weight);
  return run;
}

/* All runs that want panels, one for a storage. */
static int64_t list_runs(const GptLayerList *layers, Run *runs) {
  int64_t count = 0;
  for (int64_t i = 0; i < layers->count; i++) {
    if (weight_of(layers, i) == NULL || has_panels(weight_of(layers, i)->storage)) continue;
    const Run run = run_of(layers, i);
    bool listed = run.bytes == 0;
    for (int64_t r = 0; r < count && !listed; r++) listed = runs[r].storage == run.storage;
    if (!listed) runs[count++] = run;
  }
  return count;
}

static bool pack_run(GptEnv *env, const Run *run, GptStorage *home, size_t at) {
  GptStorage *storage = run->storage;
  GptKeptPanels *panels = gpt_kept_make(env, &run->weight, (char *)home->data + at);
  if (panels == NULL) return false;
  gpt_storage_release(storage->panels_home);
  home->refs++;
  storage->panels_home = home;
  storage->panels = panels;
  storage->panels_version = storage->version;
  return true;
}

/* The panels of one pass lie side by side: alone, most weights' are too small for huge pages of the system's. */
static bool pack_runs(GptEnv *env, const Run *runs, int64_t count) {
  size_t bytes = 0, at = 0;
  for (int64_t r = 0; r < count; r++) bytes += runs[r].bytes;
  GptStorage *home = gpt_storage_new(env, GPT_F32, bytes, false);
  if (home == NULL) return false;
  gpt_prefer_huge_pages(home->data, bytes);
  bool done = true;
  for (int64_t r = 0; r < count && done; at += runs[r++].bytes) done = pack_run(env, &runs[r], home, at);
  gpt_storage_release(home);
  return done;
}

bool gpt_layer_pack(GptEnv *env, GptLayer *root) {
  GptLayerList layers = {.env = env};
  Run *runs = NULL;
  bool done = gpt_layer_list(env, root, false, &layers) &&
              (runs = gpt_alloc_array(env, layers.count, sizeof *runs)) != NULL;
  const int64_t count = done ? list_runs(&layers, runs) : 0;
  if (count > 0) done = pack_runs(env, runs, count);
  gpt_free(env, runs);
  gpt_layer_list_free(&layers);
  return done;
}
