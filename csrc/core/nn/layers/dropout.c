#include "core/ops/dropout.h"

#include "core/nn/layers/kinds.h"
#include "core/nn/layers/layers.h"

typedef struct Dropout {
  GptLayer layer;
  double rate;
} Dropout;

GptTensor *gpt_layer_drop(GptEnv *env, GptPass *pass, const GptLayer *layer, double rate, GptTensor *x) {
  if (x == NULL || !pass->training || !layer->training || rate == 0) return x;
  GptTensor *y = gpt_dropout(env, x, rate, gpt_random_bits64(pass->random));
  gpt_tensor_release(x);
  return y;
}

static GptTensor *dropout_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  return gpt_layer_drop(env, pass, layer, ((Dropout *)layer)->rate, gpt_tensor_retain(x));
}

static void dropout_describe(const GptLayer *layer, GptText *text) {
  gpt_text_add(text, "%g", ((const Dropout *)layer)->rate);
}

const GptLayerKind gpt_dropout_kind = {.name = "Dropout", .forward = dropout_forward, .describe = dropout_describe};

GptLayer *gpt_dropout_new(GptEnv *env, double rate) {
  Dropout *dropout = gpt_layer_new(env, &gpt_dropout_kind, sizeof *dropout);
  if (dropout == NULL) return NULL;
  dropout->rate = rate;
  return &dropout->layer;
}
