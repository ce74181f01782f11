#include "binding/config.h"

#include <math.h>
#include <string.h>

#include "binding/fields.h"

/* Which of the names the string field holds; the first where it is missing. */
static int choice(lua_State *L, int table, const char *what, const char *field, const char *const names[],
                  const char *listed) {
  int found = 0;
  if (lua_getfield(L, table, field) != LUA_TNIL) {
    const char *given = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : bind_tostring(L, -1);
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

void bind_config(lua_State *L, int index, GptConfig *config) {
  static const char what[] = "config";
  luaL_checktype(L, index, LUA_TTABLE);
  double drop_rate = bind_opt_number_field(L, index, what, "drop_rate", 0, 1, 0);
  *config = (GptConfig){
      .vocab_size = bind_integer_field(L, index, what, "vocab_size", 1),
      .context_length = bind_integer_field(L, index, what, "context_length", 1),
      .emb_dim = bind_integer_field(L, index, what, "emb_dim", 1),
      .n_heads = bind_integer_field(L, index, what, "n_heads", 1),
      .n_layers = bind_integer_field(L, index, what, "n_layers", 0),
      .hidden_dim = bind_integer_field(L, index, what, "hidden_dim", 1),
      .emb_drop_rate = bind_opt_number_field(L, index, what, "emb_drop_rate", 0, 1, drop_rate),
      .attn_drop_rate = bind_opt_number_field(L, index, what, "attn_drop_rate", 0, 1, drop_rate),
      .shortcut_drop_rate = bind_opt_number_field(L, index, what, "shortcut_drop_rate", 0, 1, drop_rate),
      .qkv_bias = bind_opt_boolean_field(L, index, what, "qkv_bias", false),
      .tie_weights = bind_opt_boolean_field(L, index, what, "tie_weights", false),
      .activation = bind_activation_field(L, index, what),
      .norm_eps = bind_opt_number_field(L, index, what, "norm_eps", 0, HUGE_VAL, 1e-5),
      .init = init_field(L, index),
  };
}
