#include <string.h>

#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/linear.h"

static GptTensor *linear_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  (void)pass;
  GptTensor *weight = gpt_layer_parameter(layer, "weight"), *bias = gpt_layer_parameter(layer, "bias");
  return gpt_linear(env, x, 1, &weight, &bias);
}

static void linear_describe(const GptLayer *layer, GptText *text) {
  const GptTensor *weight = gpt_layer_parameter(layer, "weight");
  GptDtype dtype = weight->storage->dtype;
  bool bias = gpt_layer_parameter(layer, "bias") != NULL, plain = dtype == GPT_F32;
  gpt_text_add(text, "%lld, %lld", (long long)weight->shape[1], (long long)weight->shape[0]);
  if (!bias || !plain) gpt_text_add(text, ", { %s", bias ? "" : plain ? "bias = false" : "bias = false, ");
  if (!plain) gpt_text_add(text, "dtype = \"%s\"", gpt_dtype_name(dtype));
  if (!bias || !plain) gpt_text_add(text, " }");
}

const GptLayerKind gpt_linear_kind = {.name = "Linear", .forward = linear_forward, .describe = linear_describe};

GptLayer *gpt_linear_over(GptEnv *env, GptTensor *weight, GptTensor *bias) {
  GptLayer *layer = gpt_layer_new(env, &gpt_linear_kind, sizeof *layer);
  if (layer == NULL) return NULL;
  bool done = gpt_layer_set_parameter(env, layer, "weight", weight);
  if (done && bias != NULL) done = gpt_layer_set_parameter(env, layer, "bias", bias);
  if (done) return layer;
  gpt_layer_release(layer);
  return NULL;
}

/* A layer over fresh parameters, which it takes over; draws them. */
static GptLayer *over_fresh(GptEnv *env, GptTensor *weight, GptTensor *bias, bool wants_bias, GptInit init) {
  GptLayer *layer = NULL;
  if (weight != NULL && (bias != NULL || !wants_bias)) {
    gpt_weight_draw_linear(weight, bias, init, weight->shape[1]);
    layer = gpt_linear_over(env, weight, bias);
  }
  gpt_tensor_release(weight);
  gpt_tensor_release(bias);
  return layer;
}

GptLayer *gpt_linear_new(GptEnv *env, int64_t in, int64_t out, bool bias, GptInit init) {
  GptTensor *weight = gpt_weight_new(env, init, 2, (int64_t[]){out, in});
  return over_fresh(env, weight, weight != NULL && bias ? gpt_weight_new(env, init, 1, &out) : NULL, bias, init);
}

/* Rows [first, first + count) of a fresh parameter, as a parameter of its own. */
static GptTensor *slice(GptEnv *env, const GptTensor *whole, int64_t first, int64_t count) {
  int64_t shape[2] = {count, whole->shape[1]};
  GptTensor *part =
      gpt_tensor_view(env, whole, whole->ndim, shape, whole->stride, whole->offset + first * whole->stride[0]);
  if (part != NULL) part->requires_grad = true;
  return part;
}

/* Sizes may be anything: a sum that has no room is a size that no memory has. */
static int64_t sum_of(int n, const int64_t *sizes) {
  int64_t sum = 0;
  for (int i = 0; i < n; i++)
    if (__builtin_add_overflow(sum, sizes[i], &sum)) return INT64_MAX;
  return sum;
}

bool gpt_linear_new_beside(GptEnv *env, int64_t in, int n, const int64_t *outs, bool bias, GptInit init,
                           GptLayer **layers) {
  int64_t all = sum_of(n, outs), first = 0;
  GptTensor *weight = gpt_weight_new(env, init, 2, (int64_t[]){all, in});
  GptTensor *biases = weight != NULL && bias ? gpt_weight_new(env, init, 1, (int64_t[]){all}) : NULL;
  bool done = weight != NULL && (biases != NULL || !bias);
  memset(layers, 0, (size_t)n * sizeof *layers);
  for (int i = 0; i < n && done; first += outs[i++]) {
    layers[i] = over_fresh(env, slice(env, weight, first, outs[i]), bias ? slice(env, biases, first, outs[i]) : NULL, bias,
                           init);
    done = layers[i] != NULL;
  }
  for (int i = 0; i < n && !done; i++) gpt_layer_release(layers[i]), layers[i] = NULL;
  gpt_tensor_release(weight);
  gpt_tensor_release(biases);
  return done;
}
