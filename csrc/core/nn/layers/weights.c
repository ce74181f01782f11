#include "core/nn/layers/weights.h"

#include <math.h>

const GptInit gpt_init_torch = {GPT_INIT_TORCH, 0};

static void nothing_to_release(GptStorage *storage) { (void)storage; }

static GptTensor *absent(GptEnv *env, int ndim, const int64_t *shape) {
  GptStorage *storage = gpt_storage_wrap(env, GPT_F32, NULL, 0, nothing_to_release, NULL);
  if (storage == NULL) return NULL;
  GptTensor *tensor = gpt_tensor_over(env, storage, 0, ndim, shape);
  gpt_storage_release(storage);
  return tensor;
}

GptTensor *gpt_weight_new(GptEnv *env, GptInit init, int ndim, const int64_t *shape) {
  GptTensor *weight =
      init.kind == GPT_INIT_ABSENT ? absent(env, ndim, shape) : gpt_tensor_new(env, GPT_F32, ndim, shape);
  if (weight != NULL) weight->requires_grad = true;
  return weight;
}

/* Whether somebody else gives a weight its numbers. */
static bool is_set_later(const GptTensor *weight, GptInit init) {
  return init.kind == GPT_INIT_ABSENT || weight->env->undrawn;
}

void gpt_weight_fill(GptTensor *weight, GptInit init, float value) {
  if (weight == NULL || is_set_later(weight, init)) return;
  int64_t n = gpt_tensor_numel(weight);
  for (int64_t i = 0; i < n; i++) gpt_floats(weight)[i] = value;
}

static void draw_uniform(GptTensor *weight, double bound) {
  gpt_random_uniform(&weight->env->random, gpt_floats(weight), gpt_tensor_numel(weight), -bound, bound);
}

void gpt_weight_draw_linear(GptTensor *weight, GptTensor *bias, GptInit init, int64_t fan_in) {
  if (is_set_later(weight, init)) return;
  if (init.kind == GPT_INIT_NORMAL) {
    gpt_weight_draw_normal(weight, init);
    gpt_weight_fill(bias, init, 0);
  }
  if (init.kind != GPT_INIT_TORCH) return;
  double bound = fan_in > 0 ? 1 / sqrt((double)fan_in) : 0;
  draw_uniform(weight, bound);
  if (bias != NULL) draw_uniform(bias, bound);
}

void gpt_weight_draw_normal(GptTensor *weight, GptInit init) {
  double deviation = init.kind == GPT_INIT_TORCH ? 1 : init.deviation;
  if (is_set_later(weight, init)) return;
  gpt_random_normal(&weight->env->random, gpt_floats(weight), gpt_tensor_numel(weight), 0, deviation);
}

bool gpt_layer_adopt(GptEnv *env, GptLayer *layer, const char *name, GptTensor *tensor) {
  bool done = tensor != NULL && gpt_layer_set_parameter(env, layer, name, tensor);
  gpt_tensor_release(tensor);
  return done;
}

bool gpt_layer_adopt_child(GptEnv *env, GptLayer *layer, const char *name, GptLayer *child) {
  bool done = child != NULL && gpt_layer_set_child(env, layer, name, child);
  gpt_layer_release(child);
  return done;
}
