/* Low-rank adapters, for lua/gpt/lora.lua. */
#include "core/nn/layers/lora.h"

#include "binding/layer.h"

static GptLayer *check_lora(lua_State *L, int index) {
  GptLayer *layer = bind_layer(L, index);
  if (!gpt_layer_is_lora(layer))
    luaL_argerror(L, index, lua_pushfstring(L, "a LoRA expected, got %s", gpt_layer_name(layer)));
  return layer;
}

/* _lora(linear): a LoRA around it, without adapters */
static int new_lora(lua_State *L) {
  GptLayer **box = (bind_layer(L, 1), bind_new_layer(L));
  *box = gpt_lora_new(bind_env(L), bind_layer(L, 1));
  return bind_layer_done(L, box);
}

/* _adapter(lora, name, rank, alpha, dropout, drawn): puts a new adapter into the LoRA and returns it; without `drawn`
 * its parameters are shapes without memory. The options are checked by the caller. */
static int new_adapter(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *name = luaL_checkstring(L, 2);
  GptAdapterOptions options = {luaL_checkinteger(L, 3), luaL_checknumber(L, 4), luaL_checknumber(L, 5)};
  GptInit init = lua_toboolean(L, 6) ? gpt_init_torch : (GptInit){GPT_INIT_ABSENT, 0};
  GptLayer **box = bind_new_layer(L);
  *box = gpt_adapter_new(env, check_lora(L, 1), options, init);
  bind_layer_done(L, box);
  bind_set_child(L, 1, name, -1);
  return 1;
}

/* _use_adapter(lora, name or nil): which adapter is added from now on */
static int use_adapter(lua_State *L) {
  return gpt_lora_use(bind_env(L), check_lora(L, 1), luaL_optstring(L, 2, NULL)) ? 0 : bind_raise(L, bind_env(L));
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
                                     {"_active_adapter", active_adapter},
                                     {"_adapter_options", adapter_options},
                                     {NULL, NULL}};

void bind_open_lora(lua_State *L) { bind_functions(L, functions); }
