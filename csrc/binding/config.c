#include "binding/config.h"

#include <math.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/rotary.h"

/* Which of the names the string field holds; the first where it is missing. */
static int choice(lua_State *L, int table, const char *what, const char *field, const char *const names[],
                  const char *listed) {
  int found = 0;
  if (lua_getfield(L, table, field) != LUA_TNIL) {
    const char *given = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : bind_word(L, -1);
    while (names[found] != NULL && strcmp(names[found], given) != 0) found++;
    if (names[found] == NULL) bind_error(L, "%s: %s: %s expected, got %s", what, field, listed, given);
  }
  lua_settop(L, lua_gettop(L) - 1);
  return found;
}

GptActivation bind_activation_field(lua_State *L, int table, const char *what) {
  static const char *const names[] = {"gelu", "gelu_exact", "relu", "silu", NULL};
  return (GptActivation)choice(L, table, what, "activation", names, "\"gelu\", \"gelu_exact\", \"relu\" or \"silu\"");
}

static GptInitKind init_field(lua_State *L, int table) {
  static const char *const names[] = {"gpt2", "torch", "absent", NULL};
  static const GptInitKind kinds[] = {GPT_INIT_NORMAL, GPT_INIT_TORCH, GPT_INIT_ABSENT};
  return kinds[choice(L, table, "config", "init", names, "\"gpt2\" or \"torch\"")];
}

static GptNormKind norm_field(lua_State *L, int table) {
  static const char *const names[] = {"layer_norm", "rms_norm", NULL};
  return (GptNormKind)choice(L, table, "config", "norm", names, "\"layer_norm\" or \"rms_norm\"");
}

static GptPositions positions_field(lua_State *L, int table) {
  static const char *const names[] = {"learned", "rotary", "none", NULL};
  return (GptPositions)choice(L, table, "config", "positions", names, "\"learned\", \"rotary\" or \"none\"");
}

/* A number above 0; 0 where the field is missing. */
static double measure_field(lua_State *L, int table, const char *name) {
  const BindRange positive = {.high = HUGE_VAL, .above = true, .below = true, .expected = "a finite number above 0"};
  return bind_opt_number_within(L, table, "config", name, positive, 0);
}

/* What a config's pointers point at. */
typedef struct Held {
  GptRotaryScaling scaling;
  bool windowed[];
} Held;

/* layer_types: which of the layers see a window only. */
static void read_layer_types(lua_State *L, int table, GptConfig *config, bool *windowed) {
  if (lua_getfield(L, table, "layer_types") == LUA_TTABLE) {
    for (int64_t i = 0; i < config->n_layers; i++) {
      lua_rawgeti(L, -1, i + 1);
      const char *type = lua_tostring(L, -1);
      windowed[i] = type != NULL && strcmp(type, "sliding_attention") == 0;
      lua_pop(L, 1);
    }
    config->windowed = windowed;
  }
  lua_pop(L, 1);
}

static void read_whole_numbers(lua_State *L, int index, GptConfig *config) {
  static const char what[] = "config";
  config->vocab_size = bind_integer_field(L, index, what, "vocab_size", 1);
  config->context_length = bind_integer_field(L, index, what, "context_length", 1);
  config->emb_dim = bind_integer_field(L, index, what, "emb_dim", 1);
  config->n_heads = bind_integer_field(L, index, what, "n_heads", 1);
  config->n_layers = bind_integer_field(L, index, what, "n_layers", 0);
  config->hidden_dim = bind_integer_field(L, index, what, "hidden_dim", 1);
  config->n_kv_heads = bind_opt_integer_field(L, index, what, "n_kv_heads", 1, 0);
  config->head_dim = bind_opt_integer_field(L, index, what, "head_dim", 1, 0);
  config->window = bind_opt_integer_field(L, index, what, "sliding_window", 1, 0);
  config->rope_dims = bind_opt_integer_field(L, index, what, "rope_dims", 2, 0);
}

static void read_drop_rates(lua_State *L, int index, GptConfig *config) {
  static const char what[] = "config";
  double drop_rate = bind_opt_number_field(L, index, what, "drop_rate", 0, 1, 0);
  config->emb_drop_rate = bind_opt_number_field(L, index, what, "emb_drop_rate", 0, 1, drop_rate);
  config->attn_drop_rate = bind_opt_number_field(L, index, what, "attn_drop_rate", 0, 1, drop_rate);
  config->shortcut_drop_rate = bind_opt_number_field(L, index, what, "shortcut_drop_rate", 0, 1, drop_rate);
}

static void read_flags(lua_State *L, int index, GptConfig *config) {
  static const char what[] = "config";
  config->qkv_bias = bind_opt_boolean_field(L, index, what, "qkv_bias", false);
  config->no_bias = !bind_opt_boolean_field(L, index, what, "bias", true);
  config->tie_weights = bind_opt_boolean_field(L, index, what, "tie_weights", false);
  config->gated = bind_opt_boolean_field(L, index, what, "gated", false);
  config->qk_norm = bind_opt_boolean_field(L, index, what, "qk_norm", false);
  config->post_norms = bind_opt_boolean_field(L, index, what, "post_norms", false);
}

static void read_measures(lua_State *L, int index, GptConfig *config) {
  static const char what[] = "config";
  static const BindRange any = {.low = -HUGE_VAL, .high = HUGE_VAL, .above = true, .below = true,
                                .expected = "a finite number"};
  config->norm_eps = bind_opt_number_field(L, index, what, "norm_eps", 0, HUGE_VAL, 1e-5);
  config->norm_offset = bind_opt_number_within(L, index, what, "norm_offset", any, 0);
  config->rope_base = measure_field(L, index, "rope_base");
  config->rope_base_local = measure_field(L, index, "rope_base_local");
  config->attention_scale = measure_field(L, index, "attention_scale");
  config->attention_softcap = measure_field(L, index, "attention_softcap");
  config->logit_softcap = measure_field(L, index, "logit_softcap");
  config->embedding_scale = measure_field(L, index, "embedding_scale");
}

/* How many numbers of a head turn. */
static int64_t rope_dims_of(const GptConfig *c) {
  return c->rope_dims != 0 ? c->rope_dims : c->head_dim != 0 ? c->head_dim : c->emb_dim / c->n_heads;
}

void bind_config(lua_State *L, int index, GptConfig *config) {
  bind_check_type(L, index, LUA_TTABLE);
  *config = (GptConfig){.activation = bind_activation_field(L, index, "config"),
                        .norm = norm_field(L, index),
                        .positions = positions_field(L, index),
                        .init = init_field(L, index)};
  read_whole_numbers(L, index, config);
  read_drop_rates(L, index, config);
  read_flags(L, index, config);
  read_measures(L, index, config);
  Held *held = bind_scratch_behind(L, sizeof *held, config->n_layers, sizeof *held->windowed);
  held->scaling = bind_rotary_scaling(L, index, "config", "rope_scaling", rope_dims_of(config));
  config->rope_scaling = &held->scaling;
  read_layer_types(L, index, config, held->windowed);
}

/* _check_rope_scaling(config, dims): raises what is wrong with its rope_scaling, for so many numbers of a head */
static int check_rope_scaling(lua_State *L) {
  bind_check_type(L, 1, LUA_TTABLE);
  bind_rotary_scaling(L, 1, "config", "rope_scaling", bind_check_integer(L, 2));
  return 0;
}

static const luaL_Reg functions[] = {{"_check_rope_scaling", check_rope_scaling}, {NULL, NULL}};

void bind_open_config(lua_State *L) { bind_functions(L, functions); }
