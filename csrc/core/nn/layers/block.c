/* The transformer block around attention and the feed-forward layer, in the forms that a config may ask for. */
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

/* The parts of one half, in the order in which they run; the last one may be missing. */
typedef struct Half {
  const char *norm, *inner, *post_norm;
} Half;

static const Half halves[2] = {{"norm1", "attention", "post_norm1"}, {"norm2", "feed_forward", "post_norm2"}};

/* x + drop(post_norm(inner(norm(x)))); consumes x */
static GptTensor *residual(GptEnv *env, GptPass *pass, GptLayer *layer, const Half *half, GptTensor *x) {
  GptTensor *y = gpt_layer_run(env, pass, layer, half->norm, x);
  y = run_next(env, pass, layer, half->inner, y);
  if (gpt_layer_child(layer, half->post_norm) != NULL) y = run_next(env, pass, layer, half->post_norm, y);
  y = gpt_layer_drop(env, pass, layer, ((Block *)layer)->drop_rate, y);
  y = gpt_tensor_then(y, gpt_add(env, x, y));
  return gpt_tensor_then(x, y);
}

static GptTensor *run_block(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *y = residual(env, pass, layer, &halves[0], gpt_tensor_retain(x));
  return residual(env, pass, layer, &halves[1], y);
}

static void describe_block(const GptLayer *layer, GptText *text) {
  double rate = ((const Block *)layer)->drop_rate;
  if (rate > 0) gpt_text_add(text, "shortcut_drop_rate = %g", rate);
}

const GptLayerKind gpt_block_kind = {
    .name = "TransformerBlock", .container = true, .forward = run_block, .describe = describe_block};

GptLayer *gpt_norm_new(GptEnv *env, const GptConfig *c, GptInit init) {
  if (c->norm == GPT_NORM_RMS) return gpt_rms_norm_new(env, c->emb_dim, c->norm_eps, c->norm_offset, init);
  return gpt_layer_norm_new(env, c->emb_dim, c->norm_eps, init);
}

/* Layers with a window may turn by a base of their own, which no scaling changes. */
static void set_rotary(GptAttentionOptions *o, const GptConfig *c) {
  static const GptRotaryScaling plain = {.kind = GPT_ROTARY_PLAIN};
  bool local = o->window != 0 && c->rope_base_local != 0;
  if (c->positions != GPT_POSITIONS_ROTARY) return;
  o->rope_base = local ? c->rope_base_local : c->rope_base;
  o->rope_dims = c->rope_dims;
  o->rope_scaling = local ? &plain : c->rope_scaling;
}

static GptLayer *new_attention(GptEnv *env, const GptConfig *c, int64_t index, GptInit init, GptInit residual_init) {
  GptAttentionOptions options = {
      .emb_dim = c->emb_dim, .n_heads = c->n_heads, .n_kv_heads = c->n_kv_heads, .head_dim = c->head_dim,
      .context_length = c->context_length, .drop_rate = c->attn_drop_rate, .qkv_bias = c->qkv_bias,
      .no_bias = c->no_bias, .scale = c->attention_scale, .softcap = c->attention_softcap,
      .window = c->windowed != NULL && c->windowed[index] ? c->window : 0,
      .qk_norm = c->qk_norm, .qk_norm_eps = c->norm_eps, .qk_norm_offset = c->norm_offset};
  set_rotary(&options, c);
  return gpt_attention_new(env, options, init, residual_init);
}

static GptLayer *new_feed_forward(GptEnv *env, const GptConfig *c, GptInit init, GptInit residual_init) {
  GptFeedForwardOptions options = {.emb_dim = c->emb_dim, .hidden_dim = c->hidden_dim, .activation = c->activation,
                                   .gated = c->gated, .no_bias = c->no_bias};
  return gpt_feed_forward_new(env, options, init, residual_init);
}

/* Adds norm, inner layer (which it takes over; NULL is a failure) and, where the config wants it, the norm behind. */
static bool add_half(GptEnv *env, GptLayer *layer, const GptConfig *c, const Half *half, GptInit init, GptLayer *inner) {
  bool done = inner != NULL && gpt_layer_adopt_child(env, layer, half->norm, gpt_norm_new(env, c, init));
  done = gpt_layer_adopt_child(env, layer, half->inner, inner) && done;
  return done && (!c->post_norms || gpt_layer_adopt_child(env, layer, half->post_norm, gpt_norm_new(env, c, init)));
}

GptLayer *gpt_block_new(GptEnv *env, const GptConfig *c, int64_t index) {
  GptInit init = {c->init, 0.02}, residual_init = {c->init, 0.02 / sqrt(2 * (double)c->n_layers)};
  Block *block = gpt_layer_new(env, &gpt_block_kind, sizeof *block);
  if (block == NULL) return NULL;
  GptLayer *layer = &block->layer;
  block->drop_rate = c->shortcut_drop_rate;
  if (add_half(env, layer, c, &halves[0], init, new_attention(env, c, index, init, residual_init)) &&
      add_half(env, layer, c, &halves[1], init, new_feed_forward(env, c, init, residual_init)))
    return layer;
  gpt_layer_release(layer);
  return NULL;
}
