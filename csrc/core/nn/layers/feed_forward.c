/* The feed-forward layer, plain and gated (Shazeer, "GLU Variants Improve Transformer", 2020). */
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/binary.h"
#include "core/ops/gate.h"
#include "core/ops/linear.h"

typedef struct FeedForward {
  GptLayer layer;
  bool gated;
} FeedForward;

static const char *const gated_parts[2] = {"gate", "expand"};

/* gate and expand as Linear layers of one size, whose product may be one, and an activation that we know. */
static bool runs_fused(const GptLayer *layer, GptTensor *weights[2], GptTensor *biases[2], GptActivation *activation) {
  const GptLayer *between = gpt_layer_child(layer, "activation");
  for (int i = 0; i < 2; i++) {
    const GptLayer *child = gpt_layer_child(layer, gated_parts[i]);
    if (child == NULL || child->kind != &gpt_linear_kind) return false;
    weights[i] = gpt_layer_parameter(child, "weight");
    biases[i] = gpt_layer_parameter(child, "bias");
  }
  return weights[0]->shape[0] == weights[1]->shape[0] && between != NULL && gpt_activation_of(between, activation);
}

/* Whatever the parts are: one by one. */
static GptTensor *gate_apart(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *gate = gpt_layer_run(env, pass, layer, "gate", x);
  gate = gpt_tensor_then(gate, gpt_layer_run(env, pass, layer, "activation", gate));
  GptTensor *expanded = gate != NULL ? gpt_layer_run(env, pass, layer, "expand", x) : NULL;
  GptTensor *y = gpt_tensor_then(expanded, gpt_mul(env, gate, expanded));
  return gpt_tensor_then(gate, y);
}

/* Who watches sees every part run. */
static GptTensor *run_gated(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *weights[2], *biases[2];
  GptActivation activation;
  if (pass->observer != NULL || !runs_fused(layer, weights, biases, &activation)) return gate_apart(env, pass, layer, x);
  GptTensor *both = gpt_linear(env, x, 2, weights, biases);
  return gpt_tensor_then(both, gpt_gate(env, both, activation));
}

static GptTensor *run_expanded(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *h = gpt_layer_run(env, pass, layer, "expand", x);
  return gpt_tensor_then(h, gpt_layer_run(env, pass, layer, "activation", h));
}

static GptTensor *feed_forward_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  bool gated = ((const FeedForward *)layer)->gated;
  GptTensor *h = gated ? run_gated(env, pass, layer, x) : run_expanded(env, pass, layer, x);
  return gpt_tensor_then(h, gpt_layer_run(env, pass, layer, "project", h));
}

static void feed_forward_describe(const GptLayer *layer, GptText *text) {
  const GptLayer *expand = gpt_layer_child(layer, "expand");
  const GptTensor *weight = expand != NULL ? gpt_layer_parameter(expand, "weight") : NULL;
  bool gated = ((const FeedForward *)layer)->gated;
  if (weight != NULL) /* not replaced by something without a size */
    gpt_text_add(text, "emb_dim = %lld, hidden_dim = %lld", (long long)weight->shape[1], (long long)weight->shape[0]);
  if (gated) gpt_text_add(text, weight != NULL ? ", gated = true" : "gated = true");
}

const GptLayerKind gpt_feed_forward_kind = {
    .name = "FeedForward", .container = true, .forward = feed_forward_forward, .describe = feed_forward_describe};

/* gate and expand side by side, or expand alone. */
static bool add_expanding(GptEnv *env, GptLayer *layer, const GptFeedForwardOptions *o, GptInit init) {
  int n = o->gated ? 2 : 1;
  GptLayer *made[2];
  bool done = gpt_linear_new_beside(env, o->emb_dim, n, (int64_t[]){o->hidden_dim, o->hidden_dim}, !o->no_bias, init, made);
  for (int i = 0; i < n; i++) done = gpt_layer_adopt_child(env, layer, gated_parts[i + 2 - n], made[i]) && done;
  return done;
}

GptLayer *gpt_feed_forward_new(GptEnv *env, GptFeedForwardOptions options, GptInit init, GptInit residual) {
  FeedForward *made = gpt_layer_new(env, &gpt_feed_forward_kind, sizeof *made);
  if (made == NULL) return NULL;
  GptLayer *layer = &made->layer;
  made->gated = options.gated;
  if (add_expanding(env, layer, &options, init) &&
      gpt_layer_adopt_child(env, layer, "activation", gpt_activation_new(env, options.activation)) &&
      gpt_layer_adopt_child(env, layer, "project",
                            gpt_linear_new(env, options.hidden_dim, options.emb_dim, !options.no_bias, residual)))
    return layer;
  gpt_layer_release(layer);
  return NULL;
}
