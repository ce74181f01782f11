#include "core/nn/layers/lora.h"

#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/binary.h"
#include "core/ops/linear.h"

typedef struct Adapter {
  GptLayer layer;
  GptAdapterOptions options;
  bool in_use;
} Adapter;

/* The adapter in use, or NULL. */
static const GptChild *active_child(const GptLayer *layer) {
  for (int i = 0; i < layer->n_children; i++) {
    const GptLayer *child = layer->children[i].layer;
    if (gpt_layer_is_adapter(child) && ((const Adapter *)child)->in_use) return &layer->children[i];
  }
  return NULL;
}

static GptTensor *lora_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  const GptChild *adapter = active_child(layer);
  GptTensor *y = gpt_layer_run(env, pass, layer, "base", x);
  if (y == NULL || adapter == NULL) return y;
  GptTensor *change = gpt_child_run(env, pass, adapter, x);
  GptTensor *sum = gpt_tensor_then(change, gpt_add(env, y, change));
  return gpt_tensor_then(y, sum);
}

/* One of an adapter's two products; consumes x, NULL for NULL. */
static GptTensor *multiply(GptEnv *env, const GptLayer *layer, const char *name, GptTensor *x) {
  GptTensor *weight = gpt_layer_parameter(layer, name), *bias = NULL;
  return x != NULL ? gpt_tensor_then(x, gpt_linear(env, x, 1, &weight, &bias)) : NULL;
}

/* The scale multiplies the smallest of the three tensors. */
static GptTensor *adapter_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  const GptAdapterOptions *o = &((const Adapter *)layer)->options;
  GptTensor *low = multiply(env, layer, "a", gpt_layer_drop(env, pass, layer, o->drop_rate, gpt_tensor_retain(x)));
  GptTensor *scale = low != NULL ? gpt_tensor_number(env, o->alpha / (double)o->rank) : NULL;
  GptTensor *scaled = scale != NULL ? gpt_tensor_then(scale, gpt_mul(env, low, scale)) : NULL;
  return multiply(env, layer, "b", gpt_tensor_then(low, scaled));
}

static void lora_describe(const GptLayer *layer, GptText *text) {
  const GptChild *adapter = active_child(layer);
  if (adapter != NULL) gpt_text_add(text, "adapter = \"%s\"", adapter->name);
}

static void adapter_describe(const GptLayer *layer, GptText *text) {
  const GptAdapterOptions *o = &((const Adapter *)layer)->options;
  gpt_text_add(text, "rank = %lld, alpha = %g", (long long)o->rank, o->alpha);
  if (o->drop_rate > 0) gpt_text_add(text, ", dropout = %g", o->drop_rate);
}

const GptLayerKind gpt_lora_kind = {
    .name = "LoRA", .container = true, .forward = lora_forward, .describe = lora_describe};
const GptLayerKind gpt_adapter_kind = {
    .name = "Adapter", .container = true, .forward = adapter_forward, .describe = adapter_describe};

bool gpt_layer_is_lora(const GptLayer *layer) { return layer->kind == &gpt_lora_kind; }
bool gpt_layer_is_adapter(const GptLayer *layer) { return layer->kind == &gpt_adapter_kind; }
GptAdapterOptions gpt_adapter_options(const GptLayer *adapter) { return ((const Adapter *)adapter)->options; }

GptLayer *gpt_lora_new(GptEnv *env, GptLayer *base) {
  if (base->kind != &gpt_linear_kind)
    return gpt_fail_null(env, "LoRA: a Linear layer expected, got %s", gpt_layer_name(base));
  GptLayer *lora = gpt_layer_new(env, &gpt_lora_kind, sizeof *lora);
  if (lora == NULL) return NULL;
  lora->training = base->training;
  if (gpt_layer_set_child(env, lora, "base", base)) return lora;
  gpt_layer_release(lora);
  return NULL;
}

GptLayer *gpt_adapter_new(GptEnv *env, const GptLayer *lora, GptAdapterOptions options, GptInit init) {
  const GptTensor *weight = gpt_layer_parameter(gpt_layer_child(lora, "base"), "weight");
  int64_t in = weight->shape[1], out = weight->shape[0];
  Adapter *adapter = gpt_layer_new(env, &gpt_adapter_kind, sizeof *adapter);
  if (adapter == NULL) return NULL;
  GptLayer *layer = &adapter->layer;
  adapter->options = options;
  layer->training = lora->training;
  if (gpt_layer_adopt(env, layer, "a", gpt_weight_new(env, init, 2, (int64_t[]){options.rank, in})) &&
      gpt_layer_adopt(env, layer, "b", gpt_weight_new(env, init, 2, (int64_t[]){out, options.rank}))) {
    gpt_weight_draw_linear(gpt_layer_parameter(layer, "a"), NULL, init, in);
    gpt_weight_fill(gpt_layer_parameter(layer, "b"), init, 0);
    return layer;
  }
  gpt_layer_release(layer);
  return NULL;
}

bool gpt_lora_use(GptEnv *env, GptLayer *lora, const char *name) {
  GptLayer *child = name != NULL ? gpt_layer_child(lora, name) : NULL;
  if (name != NULL && (child == NULL || !gpt_layer_is_adapter(child)))
    return gpt_fail(env, "LoRA: there is no adapter \"%s\"", name);
  for (int i = 0; i < lora->n_children; i++) {
    GptLayer *each = lora->children[i].layer;
    if (gpt_layer_is_adapter(each)) ((Adapter *)each)->in_use = each == child;
  }
  gpt_layer_touch(env, lora);
  return true;
}

void gpt_lora_use_everywhere(GptEnv *env, GptLayer *root, const char *name) {
  GptWalk walk;
  gpt_walk_begin(&walk, root);
  for (GptLayer *layer = gpt_walk_next_layer(&walk); layer != NULL; layer = gpt_walk_next_layer(&walk)) {
    if (!gpt_layer_is_lora(layer)) continue;
    GptLayer *child = name != NULL ? gpt_layer_child(layer, name) : NULL;
    gpt_lora_use(env, layer, child != NULL && gpt_layer_is_adapter(child) ? name : NULL);
  }
}

void gpt_lora_train_adapters(GptLayer *root) {
  GptWalk walk;
  gpt_walk_begin(&walk, root);
  for (GptWalkStep step = gpt_walk_next(&walk); step != GPT_WALK_END; step = gpt_walk_next(&walk)) {
    if (step != GPT_WALK_PARAMETER) continue;
    GptTensor *tensor = walk.parameter->tensor;
    tensor->requires_grad = gpt_layer_is_adapter(walk.layer) && tensor->storage->dtype == GPT_F32;
    if (!tensor->requires_grad) gpt_tensor_set_grad(tensor, NULL);
  }
}

const char *gpt_lora_active(const GptLayer *lora) {
  const GptChild *child = active_child(lora);
  return child != NULL ? child->name : NULL;
}
