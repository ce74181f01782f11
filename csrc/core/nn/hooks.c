#include "core/nn/hooks.h"

#include "core/base/array.h"
#include "core/base/memory.h"

static bool layer_began(GptObserver *observer, GptEnv *env, const GptChild *place, GptLayer *layer) {
  GptHooks *hooks = (GptHooks *)observer;
  (void)place;
  if (!GPT_GROW(env, hooks->running, hooks->running_capacity, hooks->depth, 1)) return false;
  hooks->running[hooks->depth++] = layer;
  return true;
}

/* A hook's own work is not watched: it may call layers, this one too. */
static GptTensor *call_hook_at(GptEnv *env, GptHooks *hooks, int i, GptTensor *output) {
  GptPass *pass = hooks->pass;
  pass->observer = NULL;
  output = hooks->call(env, hooks, pass, i, output);
  pass->observer = &hooks->observer;
  return output;
}

static GptTensor *layer_ended(GptObserver *observer, GptEnv *env, GptTensor *output) {
  GptHooks *hooks = (GptHooks *)observer;
  const GptLayer *layer = hooks->running[--hooks->depth];
  for (int i = 0; i < hooks->count && output != NULL; i++)
    if (hooks->layers[i] == layer) output = call_hook_at(env, hooks, i, output);
  return output;
}

void gpt_hooks_init(GptHooks *hooks, GptHookCall call) {
  *hooks = (GptHooks){.observer = {.began = layer_began, .ended = layer_ended}, .call = call};
}

bool gpt_hooks_add(GptEnv *env, GptHooks *hooks, GptLayer *layer) {
  if (!GPT_GROW(env, hooks->layers, hooks->layers_capacity, hooks->count, 1)) return false;
  hooks->layers[hooks->count++] = gpt_layer_retain(layer);
  return true;
}

void gpt_hooks_free(GptEnv *env, GptHooks *hooks) {
  for (int i = 0; i < hooks->count; i++) gpt_layer_release(hooks->layers[i]);
  gpt_free(env, hooks->layers);
  gpt_free(env, hooks->running);
  hooks->layers = hooks->running = NULL;
  hooks->count = 0;
}

GptTensor *gpt_hooks_run(GptEnv *env, GptHooks *hooks, GptPass *pass, GptLayer *layer, GptTensor *x) {
  if (hooks == NULL) return gpt_layer_forward(env, pass, layer, x);
  if (hooks->pass != NULL) return gpt_fail_null(env, "hooks: a hook began another pass with the same hooks");
  hooks->pass = pass;
  hooks->depth = 0;
  pass->observer = &hooks->observer;
  GptTensor *y = gpt_layer_forward(env, pass, layer, x);
  pass->observer = NULL;
  hooks->pass = NULL;
  return y;
}
