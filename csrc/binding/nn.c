/* The constructors of gpt.nn. */
#include <math.h>
#include <stdio.h>

#include "binding/config.h"
#include "binding/fields.h"
#include "binding/layer.h"
#include "binding/rotary.h"
#include "binding/tensor.h"
#include "core/nn/layer_dtype.h"
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/layers.h"

static const BindRange any_number = {
    .low = -INFINITY, .high = INFINITY, .above = true, .below = true, .expected = "a finite number"};

static int64_t check_size(lua_State *L, int index, const char *what) {
  if (!lua_isinteger(L, index) && lua_tointeger(L, index) == 0)
    bind_argument_error(
        L, index, lua_pushfstring(L, "%s: a whole number of at least 1 expected, got %s", what, bind_shown(L, index)));
  lua_Integer n = bind_check_integer(L, index);
  if (n < 1) bind_argument_error(L, index, lua_pushfstring(L, "%s must be at least 1, got %I", what, n));
  return n;
}

/* The optional table at index must have those keys only. */
static bool has_options(lua_State *L, int index, const char *what, const char *const names[]) {
  if (lua_isnoneornil(L, index)) return false;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, what, names);
  return true;
}

/* The dtype in the options at index, f32 where there is none; rows of `row` numbers must be whole blocks of it. */
static GptDtype check_weight_dtype(lua_State *L, int index, const char *what, int64_t rows, int64_t row) {
  GptDtype dtype = GPT_F32;
  size_t bytes;
  if (!lua_istable(L, index) || lua_getfield(L, index, "dtype") == LUA_TNIL) return dtype;
  const char *name = bind_word(L, -1);
  if (!gpt_dtype_find(name, &dtype)) bind_error(L, "%s: dtype: %s", what, bind_no_dtype(L, name));
  if (!gpt_tensor_bytes(bind_env(L), dtype, 2, (int64_t[]){rows, row}, &bytes)) bind_raise(L, bind_env(L));
  lua_pop(L, 2);
  return dtype;
}

static int layer_of_dtype(lua_State *L, GptLayer **box, GptDtype dtype) {
  bind_layer_done(L, box);
  if (dtype != GPT_F32 && !gpt_layer_convert(bind_env(L), *box, dtype)) return bind_raise(L, bind_env(L));
  return 1;
}

/***
A linear map y = x W' + b; weight [out, in] and bias [out] are drawn uniformly within 1 / sqrt(in), as PyTorch's.
@function nn.Linear
@tparam integer inputs size of the last dimension of x
@tparam integer outputs size of the last dimension of y
@tparam[opt] table options `bias` (true); `dtype` ("f32") of the weight, as in layer:to
@treturn Layer [..., inputs] -> [..., outputs]
@usage gpt.nn.Linear(768, 50257, { bias = false })
*/
static int linear(lua_State *L) {
  static const char *const names[] = {"bias", "dtype", NULL};
  int64_t in = check_size(L, 1, "the number of inputs"), out = check_size(L, 2, "the number of outputs");
  if (lua_isboolean(L, 3))
    bind_argument_error(L, 3,
                  lua_pushfstring(L, "a table of options expected, got a boolean: nn.Linear(%I, %I, { bias = %s })",
                                  (lua_Integer)in, (lua_Integer)out, lua_toboolean(L, 3) ? "true" : "false"));
  bool bias = !has_options(L, 3, "nn.Linear", names) || bind_opt_boolean_field(L, 3, "nn.Linear", "bias", true);
  GptDtype dtype = check_weight_dtype(L, 3, "nn.Linear", out, in);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_linear_new(bind_env(L), in, out, bias, gpt_init_torch);
  return layer_of_dtype(L, box, dtype);
}

/***
A table of n rows of numbers, looked up by ids from 0 to n - 1; weight [n, dim] is drawn from normal(0, 1), as
PyTorch's.
@function nn.Embedding
@tparam integer n
@tparam integer dim
@tparam[opt] table options `dtype` ("f32") of the weight, as in layer:to
@treturn Layer ids [...] -> [..., dim]
@usage local table = gpt.nn.Embedding(50257, 8)
print(table { 0, 50256 })   -- [2, 8]
*/
static int embedding(lua_State *L) {
  int64_t n = check_size(L, 1, "the number of rows"), dim = check_size(L, 2, "dim");
  static const char *const names[] = {"dtype", NULL};
  has_options(L, 3, "nn.Embedding", names);
  GptDtype dtype = check_weight_dtype(L, 3, "nn.Embedding", n, dim);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_embedding_new(bind_env(L), n, dim, gpt_init_torch);
  return layer_of_dtype(L, box, dtype);
}

/***
Layer normalisation over the last dimension (Ba, Kiros and Hinton 2016): mean 0 and variance 1, then times weight, plus
bias.
@function nn.LayerNorm
@tparam integer dim
@tparam[opt] table options `eps` (1e-5), added to the variance
@treturn Layer [..., dim] -> the same
@usage print(gpt.nn.LayerNorm(3)(gpt.randn(2, 3)))
*/
static int layer_norm(lua_State *L) {
  static const char *const names[] = {"eps", NULL};
  int64_t dim = check_size(L, 1, "dim");
  double eps =
      has_options(L, 2, "nn.LayerNorm", names) ? bind_opt_number_field(L, 2, "nn.LayerNorm", "eps", 0, 1, 1e-5) : 1e-5;
  GptLayer **box = bind_new_layer(L);
  *box = gpt_layer_norm_new(bind_env(L), dim, eps, gpt_init_torch);
  return bind_layer_done(L, box);
}

/***
Root mean square normalisation over the last dimension (Zhang and Sennrich 2019): x / sqrt(mean(x^2) + eps), times
weight + offset.
@function nn.RMSNorm
@tparam integer dim
@tparam[opt] table options `eps` (1e-6); `offset` (0): with 1, as Gemma has it, the factor is 1 + weight
@treturn Layer [..., dim] -> the same
@usage print(gpt.nn.RMSNorm(3, { eps = 1e-5 })(gpt.randn(2, 3)))
*/
static int nn_rms_norm(lua_State *L) {
  static const char what[] = "nn.RMSNorm";
  static const char *const names[] = {"eps", "offset", NULL};
  int64_t dim = check_size(L, 1, "dim");
  bool given = has_options(L, 2, what, names);
  double eps = given ? bind_opt_number_field(L, 2, what, "eps", 0, 1, 1e-6) : 1e-6;
  double offset = given ? bind_opt_number_within(L, 2, what, "offset", any_number, 0) : 0;
  GptLayer **box = bind_new_layer(L);
  *box = gpt_rms_norm_new(bind_env(L), dim, eps, offset, gpt_init_torch);
  return bind_layer_done(L, box);
}

/***
Dropout (Srivastava et al. 2014): in training each element becomes 0 with probability p, the others are divided by 1 -
p.
@function nn.Dropout
@tparam number p from 0 to less than 1
@treturn Layer any shape -> the same
@usage print(gpt.nn.Dropout(0.5)(gpt.ones(2, 6)))   -- 0 or 2
*/
static int dropout(lua_State *L) {
  double p = bind_check_number(L, 1);
  if (!(p >= 0 && p < 1))
    bind_argument_error(L, 1, lua_pushfstring(L, "a probability from 0 to less than 1 expected, got %s", bind_shown(L, 1)));
  GptLayer **box = bind_new_layer(L);
  *box = gpt_dropout_new(bind_env(L), p);
  return bind_layer_done(L, box);
}

/***
GELU (Hendrycks and Gimpel 2016), in the tanh form that GPT-2 uses: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))).
@function nn.GELU
@tparam[opt] table options `exact` (false): x times the normal distribution function instead
@treturn Layer any shape -> the same
@usage print(gpt.nn.GELU()(gpt.tensor { -1.0, 0.0, 1.0 }))
*/
static int nn_gelu(lua_State *L) {
  static const char *const names[] = {"exact", NULL};
  bool exact = has_options(L, 1, "nn.GELU", names) && bind_opt_boolean_field(L, 1, "nn.GELU", "exact", false);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_activation_new(bind_env(L), exact ? GPT_GELU_EXACT : GPT_GELU);
  return bind_layer_done(L, box);
}

/***
max(x, 0).
@function nn.ReLU
@treturn Layer any shape -> the same
@usage print(gpt.nn.ReLU()(gpt.tensor { -1.0, 0.0, 1.0 }))
*/
static int nn_relu(lua_State *L) {
  GptLayer **box = bind_new_layer(L);
  *box = gpt_activation_new(bind_env(L), GPT_RELU);
  return bind_layer_done(L, box);
}

/***
The sigmoid linear unit (Elfwing et al. 2018): x / (1 + e^-x).
@function nn.SiLU
@treturn Layer any shape -> the same
@usage print(gpt.nn.SiLU()(gpt.tensor { -1.0, 0.0, 1.0 }))
*/
static int nn_silu(lua_State *L) {
  GptLayer **box = bind_new_layer(L);
  *box = gpt_activation_new(bind_env(L), GPT_SILU);
  return bind_layer_done(L, box);
}

/***
Returns its input unchanged.
@function nn.Identity
@treturn Layer any shape -> the same
@usage model:replace("final_norm", gpt.nn.Identity())
*/
static int identity(lua_State *L) {
  GptLayer **box = bind_new_layer(L);
  *box = gpt_identity_new(bind_env(L));
  return bind_layer_done(L, box);
}

/* The rest of what an attention's options at 1 say of rotary embedding. */
static void read_rotary(lua_State *L, const char *what, GptAttentionOptions *o, GptRotaryScaling *scaling) {
  static const char *const names[] = {"rope_scaling", "rope_dims", "rope_interleaved"};
  for (size_t i = 0; o->rope_base == 0 && i < sizeof names / sizeof *names; i++) {
    if (lua_getfield(L, 1, names[i]) != LUA_TNIL) bind_error(L, "%s: %s: there is no rope_base beside it", what, names[i]);
    lua_pop(L, 1);
  }
  int64_t head_dim = o->head_dim != 0 ? o->head_dim : o->emb_dim / o->n_heads;
  *scaling = bind_rotary_scaling(L, 1, what, "rope_scaling", o->rope_dims != 0 ? o->rope_dims : head_dim);
  o->rope_scaling = scaling;
}

/* qk_norm: a boolean, or a table of RMSNorm's options */
static void read_head_norms(lua_State *L, const char *what, GptAttentionOptions *o) {
  static const char *const names[] = {"eps", "offset", NULL};
  static const char inside[] = "nn.MultiHeadAttention: qk_norm";
  int type = lua_getfield(L, 1, "qk_norm"), table = lua_gettop(L);
  if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TTABLE)
    bind_refuse_field(L, what, "qk_norm", "true, false or a table { eps, offset }");
  o->qk_norm = lua_toboolean(L, table);
  o->qk_norm_eps = 1e-6;
  if (type == LUA_TTABLE) {
    bind_check_options(L, table, inside, names);
    o->qk_norm_eps = bind_opt_number_field(L, table, inside, "eps", 0, 1, 1e-6);
    o->qk_norm_offset = bind_opt_number_within(L, table, inside, "offset", any_number, 0);
  }
  lua_pop(L, 1);
}

/***
Causal multi-head attention (Vaswani et al. 2017): every token sees itself and earlier tokens.
Its parts are the Linear layers `query`, `key`, `value` and `output`, and with qk_norm the RMSNorm layers `query_norm` and
`key_norm` of [head_dim]. Rotary embedding takes the tokens' positions from the pass.
@function nn.MultiHeadAttention
@tparam table options `emb_dim`, `n_heads`, `context_length` (maximum of tokens), `drop_rate` (0) of the attention weights,
`qkv_bias` (false), `bias` (true) of the output; `n_kv_heads` (n_heads) of keys and values, `head_dim` (emb_dim /
n_heads); `scale`, `softcap` and `sliding_window`, which are those of `gpt.attention`;
`rope_base`: with it queries and keys turn as `gpt.rotary` says; `rope_scaling`, `rope_dims` and `rope_interleaved` are its
scaling, dims and interleaved; `qk_norm` (false): true, or `{ eps, offset }`, normalises queries and keys first
@treturn Layer [batch, tokens, emb_dim] -> the same
@usage local attention = gpt.nn.MultiHeadAttention { emb_dim = 8, n_heads = 2, context_length = 16 }
print(attention(gpt.randn(1, 4, 8)))
*/
static int attention(lua_State *L) {
  static const char what[] = "nn.MultiHeadAttention";
  static const char *const names[] = {"emb_dim", "n_heads", "context_length", "drop_rate", "qkv_bias", "bias",
                                      "n_kv_heads", "head_dim", "sliding_window", "scale", "softcap",
                                      "rope_base", "rope_scaling", "rope_dims", "rope_interleaved", "qk_norm", NULL};
  const BindRange positive = {.high = INFINITY, .above = true, .below = true, .expected = "a finite number above 0"};
  bind_check_type(L, 1, LUA_TTABLE);
  bind_check_options(L, 1, what, names);
  GptAttentionOptions options = {
      .emb_dim = bind_integer_field(L, 1, what, "emb_dim", 1),
      .n_heads = bind_integer_field(L, 1, what, "n_heads", 1),
      .context_length = bind_integer_field(L, 1, what, "context_length", 1),
      .drop_rate = bind_opt_number_field(L, 1, what, "drop_rate", 0, 1, 0),
      .qkv_bias = bind_opt_boolean_field(L, 1, what, "qkv_bias", false),
      .n_kv_heads = bind_opt_integer_field(L, 1, what, "n_kv_heads", 1, 0),
      .head_dim = bind_opt_integer_field(L, 1, what, "head_dim", 1, 0),
      .window = bind_opt_integer_field(L, 1, what, "sliding_window", 1, 0),
      .scale = bind_opt_number_within(L, 1, what, "scale", positive, 0),
      .softcap = bind_opt_number_within(L, 1, what, "softcap", positive, 0),
      .no_bias = !bind_opt_boolean_field(L, 1, what, "bias", true),
      .rope_base = bind_opt_number_within(L, 1, what, "rope_base", positive, 0),
      .rope_dims = bind_opt_integer_field(L, 1, what, "rope_dims", 2, 0),
      .rope_interleaved = bind_opt_boolean_field(L, 1, what, "rope_interleaved", false),
  };
  GptRotaryScaling scaling;
  read_rotary(L, what, &options, &scaling);
  read_head_norms(L, what, &options);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_attention_new(bind_env(L), options, gpt_init_torch, gpt_init_torch);
  return bind_layer_done(L, box);
}

/***
Two Linear layers, `expand` and `project`, around an `activation`. Gated (Shazeer 2020), a third one, `gate`, stands
beside expand, and project gets activation(gate(x)) * expand(x), as in Llama (with "silu") and Gemma (with "gelu").
@function nn.FeedForward
@tparam table options `emb_dim`, `hidden_dim` (4 * emb_dim), `activation` ("gelu", "gelu_exact", "relu" or "silu"),
`gated` (false), `bias` (true) of all parts
@treturn Layer [..., emb_dim] -> the same
@usage print(gpt.nn.FeedForward { emb_dim = 8 }(gpt.randn(4, 8)))
print(gpt.nn.FeedForward { emb_dim = 8, gated = true, activation = "silu", bias = false })
*/
static int feed_forward(lua_State *L) {
  static const char what[] = "nn.FeedForward";
  static const char *const names[] = {"emb_dim", "hidden_dim", "activation", "gated", "bias", NULL};
  bind_check_type(L, 1, LUA_TTABLE);
  bind_check_options(L, 1, what, names);
  int64_t emb_dim = bind_integer_field(L, 1, what, "emb_dim", 1);
  int64_t hidden_dim = bind_opt_integer_field(L, 1, what, "hidden_dim", 1,
                                              emb_dim < INT64_MAX / 4 ? 4 * emb_dim : INT64_MAX);
  GptFeedForwardOptions options = {emb_dim, hidden_dim, bind_activation_field(L, 1, what),
                                   .gated = bind_opt_boolean_field(L, 1, what, "gated", false),
                                   .no_bias = !bind_opt_boolean_field(L, 1, what, "bias", true)};
  GptLayer **box = bind_new_layer(L);
  *box = gpt_feed_forward_new(bind_env(L), options, gpt_init_torch, gpt_init_torch);
  return bind_layer_done(L, box);
}

/* _block(config, i): block i, from 1, of a checked config, drawn as PyTorch's layers */
static int block(lua_State *L) {
  GptConfig config;
  int64_t index = bind_check_integer(L, 2) - 1;
  bind_config(L, 1, &config);
  config.init = GPT_INIT_TORCH;
  GptLayer **box = bind_new_layer(L);
  *box = gpt_block_new(bind_env(L), &config, index);
  return bind_layer_done(L, box);
}

/***
x + layer(x); the layer must keep the shape of x.
@function nn.Shortcut
@tparam Layer layer
@treturn Layer any shape -> the same
@usage print(gpt.nn.Shortcut(gpt.nn.Linear(3, 3))(gpt.ones(2, 3)))
*/
static int shortcut(lua_State *L) {
  GptLayer *inner = bind_layer(L, 1);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_shortcut_new(bind_env(L), inner);
  return bind_layer_done(L, box);
}

/* A container over the array of layers at 1. */
static int container(lua_State *L, const char *what, GptLayer *(*make)(GptEnv *)) {
  char name[32];
  bind_check_type(L, 1, LUA_TTABLE);
  lua_Integer n = (lua_Integer)lua_rawlen(L, 1);
  GptLayer **box = bind_new_layer(L);
  *box = make(bind_env(L));
  bind_layer_done(L, box);
  for (lua_Integer i = 1; i <= n; i++) {
    lua_rawgeti(L, 1, i);
    if (bind_test_layer(L, -1) == NULL)
      bind_error(L, "%s: item %d must be a layer, got %s", what, (int)i, bind_typename(L, -1));
    snprintf(name, sizeof name, "%lld", (long long)i);
    bind_set_child(L, -2, name, -1);
    lua_pop(L, 1);
  }
  return 1;
}

/* _attention_window(layer): the window of a MultiHeadAttention; nil where it has none */
static int attention_window(lua_State *L) {
  const GptLayer *layer = bind_layer(L, 1);
  int64_t window = layer->kind == &gpt_attention_kind ? gpt_attention_options(layer)->window : 0;
  if (window == 0) return 0;
  lua_pushinteger(L, window);
  return 1;
}

/* _sequential(layers), _list(layers) */
static int sequential(lua_State *L) { return container(L, "nn.Sequential", gpt_sequential_new); }
static int list(lua_State *L) { return container(L, "nn.List", gpt_list_new); }

static const luaL_Reg constructors[] = {{"Linear", linear},
                                        {"Embedding", embedding},
                                        {"LayerNorm", layer_norm},
                                        {"RMSNorm", nn_rms_norm},
                                        {"Dropout", dropout},
                                        {"GELU", nn_gelu},
                                        {"ReLU", nn_relu},
                                        {"SiLU", nn_silu},
                                        {"Identity", identity},
                                        {"MultiHeadAttention", attention},
                                        {"FeedForward", feed_forward},
                                        {"Shortcut", shortcut},
                                        {NULL, NULL}};

static const luaL_Reg functions[] = {{"_block", block}, {"_sequential", sequential}, {"_list", list},
                                     {"_attention_window", attention_window}, {NULL, NULL}};

void bind_open_nn(lua_State *L) {
  bind_functions(L, functions);
  lua_newtable(L);
  bind_functions(L, constructors);
  lua_setfield(L, -2, "nn");
}
