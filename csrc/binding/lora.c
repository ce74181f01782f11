/* Low-rank adapters, for lua/gpt/lora.lua. */
#include "core/nn/layers/lora.h"

#include "binding/exchange.h"

static GptLayer *check_lora(lua_State *L, int index) {
  GptLayer *layer = bind_layer(L, index);
  if (!gpt_layer_is_lora(layer))
    bind_argument_error(L, index, lua_pushfstring(L, "a LoRA expected, got %s", gpt_layer_name(layer)));
  return layer;
}

/* _lora(linear): a LoRA around it, without adapters */
static int new_lora(lua_State *L) {
  GptLayer **box = (bind_layer(L, 1), bind_new_layer(L));
  *box = gpt_lora_new(bind_env(L), bind_layer(L, 1));
  return bind_layer_done(L, box);
}

/* _adapter(lora, rank, alpha, dropout, drawn): a new adapter for the LoRA, which does not have it yet; without `drawn`
 * its parameters are shapes without memory. The options are checked by the caller. */
static int new_adapter(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptAdapterOptions options = {bind_check_integer(L, 2), bind_check_number(L, 3), bind_check_number(L, 4)};
  GptInit init = lua_toboolean(L, 5) ? gpt_init_torch : (GptInit){GPT_INIT_ABSENT, 0};
  GptLayer **box = bind_new_layer(L);
  *box = gpt_adapter_new(env, check_lora(L, 1), options, init);
  return bind_layer_done(L, box);
}

/* _use_adapter(layer, name or nil): which adapter every LoRA of the tree adds from now on, where it has it */
static int use_adapter(lua_State *L) {
  gpt_lora_use_everywhere(bind_env(L), bind_layer(L, 1), bind_opt_string(L, 2, NULL));
  return 0;
}

/* _put_adapters(root, name, changes): bind_exchange of what makes LoRA layers of a tree; then all use the adapter of that
 * name, and adapters alone train. All of it, or nothing. */
static int put_adapters(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *name = bind_check_string(L, 2);
  bind_layer(L, 1);
  bind_exchange(L, 3);
  gpt_lora_train_adapters(bind_layer(L, 1));
  gpt_lora_use_everywhere(env, bind_layer(L, 1), name);
  return 0;
}

/* _exchange(changes): see bind_exchange. */
static int exchange(lua_State *L) {
  bind_exchange(L, 1);
  return 0;
}

/* _active_adapter(lora): its name, or nil */
static int active_adapter(lua_State *L) {
  lua_pushstring(L, gpt_lora_active(check_lora(L, 1)));
  return 1;
}

/* _adapter_options(layer): rank, alpha and dropout of an adapter; nothing where the layer is none */
static int adapter_options(lua_State *L) {
  const GptLayer *layer = bind_layer(L, 1);
  if (!gpt_layer_is_adapter(layer)) return 0;
  GptAdapterOptions options = gpt_adapter_options(layer);
  lua_pushinteger(L, options.rank);
  lua_pushnumber(L, options.alpha);
  lua_pushnumber(L, options.drop_rate);
  return 3;
}

static const luaL_Reg functions[] = {{"_lora", new_lora},
                                     {"_adapter", new_adapter},
                                     {"_use_adapter", use_adapter},
                                     {"_put_adapters", put_adapters},
                                     {"_exchange", exchange},
                                     {"_active_adapter", active_adapter},
                                     {"_adapter_options", adapter_options},
                                     {NULL, NULL}};

void bind_open_lora(lua_State *L) { bind_functions(L, functions); }
