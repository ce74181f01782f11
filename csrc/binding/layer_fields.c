/* Fields of layers: parts, parameters, plain fields and methods; reading and assigning them. */
#include <stdio.h>
#include <string.h>

#include "binding/layer.h"
#include "binding/tensor.h"
#include "core/base/hints.h"
#include "core/base/suggest.h"
#include "core/nn/layers/kinds.h"

#define MOST_NAMES 128

/* The table of methods is an upvalue of __index and __newindex, behind the environment. */
#define METHODS lua_upvalueindex(2)

static size_t collect_keys(lua_State *L, int table, const char **names, size_t count) {
  lua_pushnil(L);
  while (count < MOST_NAMES && lua_next(L, table) != 0) {
    lua_pop(L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) names[count++] = lua_tostring(L, -1);
  }
  return count;
}

/* The names of a layer's parts, fields and methods. */
static size_t collect_layer_names(lua_State *L, const GptLayer *layer, const char **names) {
  size_t count = 0;
  for (int i = 0; i < layer->n_children && count < MOST_NAMES / 4; i++) names[count++] = layer->children[i].name;
  for (int i = 0; i < layer->n_parameters && count < MOST_NAMES / 2; i++) names[count++] = layer->parameters[i].name;
  names[count++] = "training";
  if (!layer->kind->host) names[count++] = "kind";
  if (gpt_layer_is_model(layer)) names[count++] = "tokenizer", names[count++] = "chat_template";
  for (int value = BIND_LAYER_FIELDS; value <= BIND_LAYER_CLASS; value++) { /* the layer holds both */
    if (lua_getiuservalue(L, 1, value) == LUA_TTABLE) count = collect_keys(L, lua_gettop(L), names, count);
    lua_pop(L, 1);
  }
  return collect_keys(L, METHODS, names, count);
}

static int unknown_field(lua_State *L, const GptLayer *layer, const char *key) {
  char hint[GPT_HINT_SIZE];
  const char *names[MOST_NAMES];
  size_t count = collect_layer_names(L, layer, names);
  return bind_error(L, "%s has no field or method '%s'%s", gpt_layer_name(layer), key,
                    gpt_hint(key, names, count, hint));
}

/* A field of a layer written in Lua that was never assigned is nil, as in a table, unless its name looks
   misspelt. */
static int unassigned_field(lua_State *L, const GptLayer *layer, const char *key) {
  const char *names[MOST_NAMES];
  const char *near = gpt_suggest_typo(key, names, collect_layer_names(L, layer, names));
  if (near == NULL) return 0;
  return bind_error(L, "%s has no field or method '%s'; did you mean '%s'? (an optional field: self.%s = nil in init)",
                    gpt_layer_name(layer), key, near, key);
}

/* layer[i]: its i-th child; -1 is the last; nil right behind the last, so that ipairs works */
static int index_child(lua_State *L, const GptLayer *layer, lua_Integer i) {
  lua_Integer given = i;
  if (i == layer->n_children + 1) return 0;
  if (i < 0) i += layer->n_children + 1;
  if (i < 1 || i > layer->n_children)
    return bind_error(L, "%s[%d]: a number from 1 to %d expected (-1 is the last)", gpt_layer_name(layer), (int)given,
                      layer->n_children);
  bind_push_layer(L, layer->children[i - 1].layer);
  return 1;
}

/* Pushes what the table at the top holds at the key of __index (2); pops the table. */
static bool found_in_table(lua_State *L) {
  if (lua_istable(L, -1)) {
    lua_pushvalue(L, 2);
    lua_rawget(L, -2);
    lua_remove(L, -2);
  }
  if (!lua_isnil(L, -1)) return true;
  lua_pop(L, 1);
  return false;
}

/* Stands among the fields for a nil that was assigned: the name is meant so. */
static char assigned_nil;

/* What a Model holds beside its parts, for its host. */
static bool is_model_field(const char *key) {
  return strcmp(key, "tokenizer") == 0 || strcmp(key, "chat_template") == 0;
}

/* Parts and fields that a layer of that kind may have: nil where it has none. */
static bool may_lack(const GptLayer *layer, const char *key) {
  if (strcmp(key, "bias") == 0) return layer->kind == &gpt_linear_kind;
  if (strcmp(key, "position_embedding") == 0) return gpt_layer_is_model(layer);
  return is_model_field(key);
}

static bool found_field(lua_State *L, bool *known) {
  lua_getiuservalue(L, 1, BIND_LAYER_FIELDS);
  if (!found_in_table(L)) return false;
  *known = lua_touserdata(L, -1) == &assigned_nil;
  if (*known) lua_pop(L, 1);
  return !*known;
}

/* The box comes first: a finalizer may exchange the parameter while it is made. */
static void push_parameter(lua_State *L, const GptLayer *layer, const char *key) {
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_tensor_retain(gpt_layer_parameter(layer, key));
}

static int index_layer(lua_State *L) {
  bool known = false;
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  if (lua_isinteger(L, 2)) return index_child(L, layer, lua_tointeger(L, 2));
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  if (key == NULL) return bind_error(L, "a field of %s expected, got a %s", gpt_layer_name(layer), bind_typename(L, 2));
  if (found_field(L, &known)) return 1;
  if (gpt_layer_parameter(layer, key) != NULL) return push_parameter(L, layer, key), 1;
  if (lua_getiuservalue(L, 1, BIND_LAYER_CLASS), found_in_table(L)) return 1;
  if (lua_pushvalue(L, METHODS), found_in_table(L)) return 1;
  if (strcmp(key, "training") == 0) return lua_pushboolean(L, bind_is_training(env, layer)), 1;
  if (known || may_lack(layer, key)) return 0;
  if (strcmp(key, "kind") == 0) return lua_pushstring(L, gpt_layer_name(layer)), 1;
  if (layer->kind->host) return unassigned_field(L, layer, key);
  return unknown_field(L, layer, key);
}

static void set_field(lua_State *L, int value) {
  lua_getiuservalue(L, 1, BIND_LAYER_FIELDS);
  lua_pushvalue(L, 2);
  lua_pushvalue(L, value);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static void refuse_plain_list(lua_State *L, const GptLayer *layer, const char *key) {
  if (!lua_istable(L, 3)) return;
  lua_rawgeti(L, 3, 1);
  if (luaL_testudata(L, -1, BIND_LAYER) != NULL)
    bind_error(L, "%s.%s: a plain table of layers would hide their parameters; use gpt.nn.List { ... }",
               gpt_layer_name(layer), key);
  lua_pop(L, 1);
}

/* self.name = value in a layer written in Lua: layers and parameters register, everything else is a plain field. */
static int assign_host(lua_State *L, GptEnv *env, GptLayer *layer, const char *key) {
  GptTensor *tensor = bind_test_tensor(L, 3);
  refuse_plain_list(L, layer, key);
  if (bind_test_layer(L, 3) != NULL) {
    if (gpt_layer_parameter(layer, key) != NULL && !gpt_layer_remove(env, layer, key)) return bind_raise(L, env);
    bind_set_child(L, 1, key, 3);
    return 0;
  }
  bool registers = tensor != NULL && tensor->parameter;
  bool goes = gpt_layer_child(layer, key) != NULL || (!registers && gpt_layer_parameter(layer, key) != NULL);
  if (goes && !gpt_layer_remove(env, layer, key)) return bind_raise(L, env);
  if (registers) {
    if (!gpt_layer_set_parameter(env, layer, key, tensor)) return bind_raise(L, env);
    lua_settop(L, 2);
    lua_pushnil(L);
  } else if (lua_isnil(L, 3)) {
    lua_settop(L, 2);
    lua_pushlightuserdata(L, &assigned_nil);
  }
  set_field(L, 3);
  return 0;
}

/* layer.part = other in a layer of the core: only what is there can be exchanged. */
static int assign_part(lua_State *L, GptEnv *env, GptLayer *layer, const char *key) {
  char before[GPT_SHAPE_TEXT], after[GPT_SHAPE_TEXT];
  GptTensor *parameter = gpt_layer_parameter(layer, key);
  if (gpt_layer_child(layer, key) != NULL) {
    if (bind_test_layer(L, 3) == NULL)
      return bind_error(L, "%s.%s: a layer expected, got %s", gpt_layer_name(layer), key, bind_typename(L, 3));
    if (!gpt_layer_replace(env, layer, key, bind_layer(L, 3))) return bind_raise(L, env);
    set_field(L, 3);
    return 0;
  }
  if (parameter == NULL) return unknown_field(L, layer, key);
  GptTensor *tensor = bind_test_tensor(L, 3);
  if (tensor == NULL)
    return bind_error(L, "%s.%s: a tensor expected, got %s", gpt_layer_name(layer), key, bind_typename(L, 3));
  if (!gpt_same_shape(tensor, parameter) || !gpt_layer_may_hold(layer, key, tensor->storage->dtype))
    return bind_error(L, "%s.%s: an f32 tensor of shape %s expected, got %s of %s", gpt_layer_name(layer), key,
                      gpt_tensor_shape_text(parameter, before), gpt_dtype_name(tensor->storage->dtype),
                      gpt_tensor_shape_text(tensor, after));
  bool trains = parameter->requires_grad;
  if (!gpt_layer_set_parameter(env, layer, key, tensor)) return bind_raise(L, env);
  if (trains && tensor->node == NULL && tensor->storage->dtype == GPT_F32) tensor->requires_grad = true;
  return 0;
}

static int assign(lua_State *L) {
  char number[32];
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  if (lua_isinteger(L, 2)) {
    if (!lua_isnil(L, 3) && bind_test_layer(L, 3) == NULL)
      return bind_error(L, "%s[%lld]: a layer expected, got %s", gpt_layer_name(layer), (long long)lua_tointeger(L, 2),
                        bind_typename(L, 3));
    snprintf(number, sizeof number, "%lld", (long long)lua_tointeger(L, 2));
    lua_pushstring(L, number);
    lua_replace(L, 2);
  }
  size_t bytes;
  const char *key = bind_check_bytes(L, 2, &bytes);
  if (strlen(key) != bytes) return bind_error(L, "%s: a field's name cannot hold a zero byte", gpt_layer_name(layer));
  if (is_model_field(key) && gpt_layer_is_model(layer)) return set_field(L, 3), 0;
  if (strcmp(key, "training") == 0)
    return bind_error(L, "%s.training is read-only: call train() or eval()", gpt_layer_name(layer));
  if (strcmp(key, "kind") == 0 && !layer->kind->host)
    return bind_error(L, "%s.kind is read-only", gpt_layer_name(layer));
  return layer->kind->host ? assign_host(L, env, layer, key) : assign_part(L, env, layer, key);
}

/* Sets a metamethod of the metatable under the table of methods, on top of the stack. */
static void set_with_methods(lua_State *L, const char *name, lua_CFunction function) {
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, function, 2);
  lua_setfield(L, -3, name);
}

void bind_open_layer_fields(lua_State *L) {
  luaL_getmetatable(L, BIND_LAYER);
  bind_push_methods(L, BIND_LAYER);
  set_with_methods(L, "__index", index_layer);
  set_with_methods(L, "__newindex", assign);
  lua_pop(L, 2);
}
