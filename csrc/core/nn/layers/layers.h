/* The kinds of layers and how each is made. Every constructor returns a new reference, or NULL and a message. */
#ifndef GPT_LAYERS_H
#define GPT_LAYERS_H

#include "core/kernels/kernels.h"
#include "core/nn/layer.h"
#include "core/ops/rotary.h"

/* How a new layer's weights are drawn. */
typedef enum GptInitKind {
  GPT_INIT_TORCH,  /* as PyTorch's layer of that name draws them, from the environment's random numbers */
  GPT_INIT_NORMAL, /* weights normal(0, deviation), biases 0 */
  GPT_INIT_ABSENT, /* not at all: shapes without memory, to be set before use */
} GptInitKind;

typedef struct GptInit {
  GptInitKind kind;
  double deviation;
} GptInit;

extern const GptInit gpt_init_torch;

/* [..., in] -> [..., out]; weight [out, in], bias [out] */
GptLayer *gpt_linear_new(GptEnv *env, int64_t in, int64_t out, bool bias, GptInit init);

/* The same over weights that exist; bias may be NULL. */
GptLayer *gpt_linear_over(GptEnv *env, GptTensor *weight, GptTensor *bias);

/* n maps of the same input whose weights lie side by side, so that they run as one product; into layers[0 .. n-1]. */
bool gpt_linear_new_beside(GptEnv *env, int64_t in, int n, const int64_t *outs, bool bias, GptInit init,
                           GptLayer **layers);

/* ids [...] (i64) -> [..., dim]; weight [n, dim] */
GptLayer *gpt_embedding_new(GptEnv *env, int64_t n, int64_t dim, GptInit init);

/* [..., dim] -> the same; weight (1) and bias (0) of [dim] */
GptLayer *gpt_layer_norm_new(GptEnv *env, int64_t dim, double eps, GptInit init);

/* [..., dim] -> the same; weight [dim], which begins as 1 - offset: the factor is weight + offset */
GptLayer *gpt_rms_norm_new(GptEnv *env, int64_t dim, double eps, double offset, GptInit init);

/* Any shape -> the same. */
GptLayer *gpt_dropout_new(GptEnv *env, double rate);
GptLayer *gpt_activation_new(GptEnv *env, GptActivation activation);
GptLayer *gpt_identity_new(GptEnv *env);

/* Children are added with gpt_layer_set_child, named "1", "2", ... A Sequential runs them in turn; a List only holds
   them; a Shortcut has one child, "layer", and returns x + layer(x). */
GptLayer *gpt_sequential_new(GptEnv *env);
GptLayer *gpt_list_new(GptEnv *env);
GptLayer *gpt_shortcut_new(GptEnv *env, GptLayer *layer);

/* The drop mask of one call: applies dropout where the pass and the layer are in training. Consumes x (NULL is fine).
 */
GptTensor *gpt_layer_drop(GptEnv *env, GptPass *pass, const GptLayer *layer, double rate, GptTensor *x);

typedef struct GptAttentionOptions {
  int64_t emb_dim, n_heads, context_length;
  double drop_rate;
  bool qkv_bias;
  int64_t n_kv_heads, head_dim; /* 0: n_heads, emb_dim / n_heads */
  int64_t window;               /* as in GptAttentionRule, as the next two */
  double scale, softcap;
  bool no_bias; /* of the output projection */
  double rope_base;                   /* 0: no rotary embedding */
  int64_t rope_dims;                  /* 0: head_dim */
  bool rope_interleaved;
  const GptRotaryScaling *rope_scaling; /* there where rope_base is not 0; copied */
  bool qk_norm; /* queries and keys of each head pass an RMSNorm, before they turn */
  double qk_norm_eps, qk_norm_offset;
} GptAttentionOptions;

/* [batch, tokens, emb_dim] -> the same, causal; children query [n_heads * head_dim], key and value [n_kv_heads *
 * head_dim], (query_norm, key_norm,) output. `residual` draws the output projection. */
GptLayer *gpt_attention_new(GptEnv *env, GptAttentionOptions options, GptInit init, GptInit residual);

/* What such a layer was made with, complete. */
const GptAttentionOptions *gpt_attention_options(const GptLayer *attention);

typedef struct GptFeedForwardOptions {
  int64_t emb_dim, hidden_dim;
  GptActivation activation;
  bool gated;   /* what project gets is activation(gate(x)) * expand(x) */
  bool no_bias; /* of all parts */
} GptFeedForwardOptions;

/* [..., emb_dim] -> the same; children (gate,) expand, activation, project. `residual` draws project. */
GptLayer *gpt_feed_forward_new(GptEnv *env, GptFeedForwardOptions options, GptInit init, GptInit residual);

typedef enum GptNormKind { GPT_NORM_LAYER, GPT_NORM_RMS } GptNormKind;

/* How a model knows where tokens stand. */
typedef enum GptPositions {
  GPT_POSITIONS_LEARNED, /* an embedding of each position is added to that of the token */
  GPT_POSITIONS_ROTARY,  /* queries and keys turn, in every attention */
  GPT_POSITIONS_NONE,    /* by the causal mask alone */
} GptPositions;

/* All that makes a GPT, of whatever family. */
typedef struct GptConfig {
  int64_t vocab_size, context_length, emb_dim, n_heads, n_layers, hidden_dim;
  int64_t n_kv_heads, head_dim; /* 0: n_heads, emb_dim / n_heads */
  double emb_drop_rate, attn_drop_rate, shortcut_drop_rate;
  bool qkv_bias, tie_weights;
  bool no_bias; /* of attention's output projection and of the feed-forward layer */
  bool gated;   /* the feed-forward layer */
  GptActivation activation;
  GptNormKind norm;
  double norm_eps, norm_offset; /* offset: of RMS norms */
  bool qk_norm;                 /* RMS norms of each head's queries and keys */
  bool post_norms;              /* norms also of what attention and feed-forward return, before the sums */
  GptPositions positions;
  double rope_base, rope_base_local; /* local: of layers with a window; 0: as the others, with their scaling */
  int64_t rope_dims;                 /* 0: head_dim */
  const GptRotaryScaling *rope_scaling; /* there where positions are rotary; read while the model is made, then NULL */
  int64_t window;                       /* of the layers that `windowed` names */
  const bool *windowed; /* [n_layers], or NULL: none; read while the model is made, then NULL */
  double attention_scale, attention_softcap, logit_softcap, embedding_scale; /* 0: none of it */
  GptInitKind init; /* GPT_INIT_NORMAL is GPT-2's: deviation 0.02, residual projections divided by sqrt(2 n_layers) */
} GptConfig;

/* The config's kind of norm, [..., emb_dim] -> the same. */
GptLayer *gpt_norm_new(GptEnv *env, const GptConfig *config, GptInit init);

/* Block `index`, from 0, of a model: [batch, tokens, emb_dim] -> the same; children norm1, attention, (post_norm1,)
 * norm2, feed_forward (, post_norm2) */
GptLayer *gpt_block_new(GptEnv *env, const GptConfig *config, int64_t index);

#endif
