/* The transformer block around attention and the feed-forward layer. */
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/ops/binary.h"

#include <math.h>

/* A link in a chain of a layer's own children; consumes x. */
static GptTensor *run_next(GptEnv *env, GptPass *pass, GptLayer *layer, const char *name, GptTensor *x) {
  return gpt_tensor_then(x, gpt_layer_run(env, pass, layer, name, x));
}

typedef struct Block {
  GptLayer layer;
  double drop_rate;
} Block;

/* x + drop(inner(norm(x))); consumes x */
static GptTensor *residual(GptEnv *env, GptPass *pass, GptLayer *layer, const char *norm, const char *inner,
                           GptTensor *x) {
  GptTensor *y = gpt_layer_run(env, pass, layer, norm, x);
  y = run_next(env, pass, layer, inner, y);
  y = gpt_layer_drop(env, pass, layer, ((Block *)layer)->drop_rate, y);
  y = gpt_tensor_then(y, gpt_add(env, x, y));
  return gpt_tensor_then(x, y);
}

static GptTensor *run_block(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *y = residual(env, pass, layer, "norm1", "attention", gpt_tensor_retain(x));
  return residual(env, pass, layer, "norm2", "feed_forward", y);
}

static void describe_block(const GptLayer *layer, GptText *text) {
  double rate = ((const Block *)layer)->drop_rate;
  if (rate > 0) gpt_text_add(text, "shortcut_drop_rate = %g", rate);
}

const GptLayerKind gpt_block_kind = {
    .name = "TransformerBlock", .container = true, .forward = run_block, .describe = describe_block};

GptLayer *gpt_block_new(GptEnv *env, const GptConfig *c) {
  GptInit init = {c->init, 0.02}, residual_init = {c->init, 0.02 / sqrt(2 * (double)c->n_layers)};
  GptAttentionOptions attention = {.emb_dim = c->emb_dim,
                                   .n_heads = c->n_heads,
                                   .context_length = c->context_length,
                                   .drop_rate = c->attn_drop_rate,
                                   .qkv_bias = c->qkv_bias};
  GptFeedForwardOptions feed_forward = {c->emb_dim, c->hidden_dim, .activation = c->activation};
  Block *block = gpt_layer_new(env, &gpt_block_kind, sizeof *block);
  if (block == NULL) return NULL;
  GptLayer *layer = &block->layer;
  block->drop_rate = c->shortcut_drop_rate;
  if (gpt_layer_adopt_child(env, layer, "norm1", gpt_layer_norm_new(env, c->emb_dim, c->norm_eps, init)) &&
      gpt_layer_adopt_child(env, layer, "attention", gpt_attention_new(env, attention, init, residual_init)) &&
      gpt_layer_adopt_child(env, layer, "norm2", gpt_layer_norm_new(env, c->emb_dim, c->norm_eps, init)) &&
      gpt_layer_adopt_child(env, layer, "feed_forward",
                            gpt_feed_forward_new(env, feed_forward, init, residual_init)))
    return layer;
  gpt_layer_release(layer);
  return NULL;
}
