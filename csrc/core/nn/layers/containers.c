/* Layers that are made of others: Sequential, List, Shortcut. */
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/binary.h"

static GptTensor *run_sequential(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *y = gpt_tensor_retain(x);
  for (int i = 0; i < layer->n_children && y != NULL; i++) {
    GptTensor *next = gpt_child_run(env, pass, &layer->children[i], y);
    gpt_tensor_release(y);
    y = next;
  }
  return y;
}

static GptTensor *run_list(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass, (void)layer, (void)x;
  return gpt_fail_null(env, "a List only holds layers: call its members, list[i](x), or use a Sequential");
}

static GptTensor *run_shortcut(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  char before[GPT_SHAPE_TEXT], after[GPT_SHAPE_TEXT];
  GptTensor *y = gpt_layer_run(env, pass, layer, "layer", x), *sum = NULL;
  if (y == NULL) return NULL;
  if (gpt_same_shape(x, y)) sum = gpt_add(env, x, y);
  else
    gpt_fail(env, "Shortcut: its layer must keep the shape to be added to its input, but made %s of %s",
             gpt_tensor_shape_text(y, after), gpt_tensor_shape_text(x, before));
  gpt_tensor_release(y);
  return sum;
}

const GptLayerKind gpt_sequential_kind = {.name = "Sequential", .container = true, .forward = run_sequential};
const GptLayerKind gpt_list_kind = {.name = "List", .container = true, .forward = run_list};
const GptLayerKind gpt_shortcut_kind = {.name = "Shortcut", .container = true, .forward = run_shortcut};

GptLayer *gpt_sequential_new(GptEnv *env) { return gpt_layer_new(env, &gpt_sequential_kind, sizeof(GptLayer)); }
GptLayer *gpt_list_new(GptEnv *env) { return gpt_layer_new(env, &gpt_list_kind, sizeof(GptLayer)); }

GptLayer *gpt_shortcut_new(GptEnv *env, GptLayer *inner) {
  GptLayer *layer = gpt_layer_new(env, &gpt_shortcut_kind, sizeof *layer);
  if (layer == NULL || gpt_layer_set_child(env, layer, "layer", inner)) return layer;
  gpt_layer_release(layer);
  return NULL;
}
