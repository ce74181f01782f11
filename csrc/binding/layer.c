/* The type gpt.Layer: its box, its fields, its call. */
#include "binding/layer.h"

#include <stdio.h>
#include <string.h>

#include "binding/ids.h"
#include "binding/tensor.h"
#include "core/nn/layers/kinds.h"
#include "core/ops/shape.h"
#include "core/base/suggest.h"

#define LAYERS_KEY "gpt.layers" /* registry: core pointer -> userdata, weak */
#define FIELDS 1                /* user values */
#define CLASS 2
#define MOST_NAMES 128
#define NAMED_BELOW 2 /* parts of parts that failures are named by: those of a List, say */

/***
What gpt.nn makes: called with a tensor it returns a tensor. Its parts and parameters are fields, by name or, in a List
or Sequential, by number; assigning one puts another in its place.
@classmod Layer
@usage local layer = gpt.nn.Sequential { gpt.nn.Linear(2, 3), gpt.nn.GELU() }
print(layer(gpt.ones(1, 2)), layer[1].weight)
*/

/***
Is the layer in training? Read-only: train() and eval() set it.
@tfield boolean Layer.training
*/

/***
What it is: "Linear", "Model", or the name that a layer written in Lua was given. Read-only, but a layer written in Lua
may have a field of its own of that name.
@tfield string Layer.kind
@usage layer:apply(function(each) if each.kind == "Dropout" then print(each) end end)
*/

/***
The tokenizer that reads string prompts; nil where there is none. It may be set.
@tfield Tokenizer|nil Model.tokenizer
*/

/***
The config that the model was made from, a copy.
@tfield table Model.config
*/

GptLayer *bind_layer(lua_State *L, int index) { return bind_check(L, index, BIND_LAYER); }

GptLayer *bind_test_layer(lua_State *L, int index) { return bind_test(L, index, BIND_LAYER); }

GptModel *bind_model(lua_State *L, int index) {
  GptLayer *layer = bind_layer(L, index);
  if (!gpt_layer_is_model(layer))
    luaL_argerror(L, index, lua_pushfstring(L, "a Model expected, got a layer of kind %s", gpt_layer_name(layer)));
  return (GptModel *)layer;
}

GptLayer **bind_new_layer(lua_State *L) { return (GptLayer **)bind_push_box(L, BIND_LAYER, 2); }

/* Gives the userdata at the top its table of fields and its entry in the registry's table. */
static void enter_layer(lua_State *L, const GptLayer *layer) {
  lua_newtable(L);
  lua_setiuservalue(L, -2, FIELDS);
  lua_getfield(L, LUA_REGISTRYINDEX, LAYERS_KEY);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, layer);
  lua_pop(L, 1);
}

/* Mirrors the core's edges from the userdata at the top to its children. */
static void mirror_children(lua_State *L, const GptLayer *layer) {
  luaL_checkstack(L, 8, "layers are nested too deep");
  lua_getiuservalue(L, -1, FIELDS);
  for (int i = 0; i < layer->n_children; i++) {
    bind_push_layer(L, layer->children[i].layer);
    lua_setfield(L, -2, layer->children[i].name);
  }
  lua_pop(L, 1);
}

void bind_push_layer(lua_State *L, GptLayer *layer) {
  luaL_checkstack(L, 8, "layers are nested too deep");
  lua_getfield(L, LUA_REGISTRYINDEX, LAYERS_KEY);
  bool known = lua_rawgetp(L, -1, layer) == LUA_TUSERDATA;
  lua_remove(L, -2);
  if (known) return;
  lua_pop(L, 1);
  GptLayer **box = bind_new_layer(L);
  *box = gpt_layer_retain(layer);
  enter_layer(L, layer);
  mirror_children(L, layer);
}

int bind_layer_done(lua_State *L, GptLayer **box) {
  GptEnv *env = bind_env(L);
  if (*box == NULL) return bind_raise(L, env);
  enter_layer(L, *box);
  mirror_children(L, *box);
  bind_account(L, env);
  return 1;
}

void bind_set_child(lua_State *L, int layer, const char *name, int child) {
  GptEnv *env = bind_env(L);
  layer = lua_absindex(L, layer);
  child = lua_absindex(L, child);
  lua_getiuservalue(L, layer, FIELDS);
  lua_pushvalue(L, child);
  lua_setfield(L, -2, name); /* first the edge that the collector sees */
  lua_pop(L, 1);
  if (!gpt_layer_set_child(env, bind_layer(L, layer), name, bind_layer(L, child))) bind_raise(L, env);
}

/* __gc: a layer with Lua behind it lets go of its parts, which breaks circles. */
static int layer_collect(lua_State *L) {
  GptLayer **box = luaL_checkudata(L, 1, BIND_LAYER);
  GptLayer *layer = *box;
  *box = NULL;
  if (layer == NULL) return 0;
  if (bind_layer_is_host(layer)) gpt_layer_clear(layer);
  gpt_layer_release(layer);
  return 0;
}

GptTensor *bind_model_ids(lua_State *L, int index, const char *name) {
  if (lua_istable(L, index)) bind_ids_tensor(L, index, true);
  GptTensor *ids = bind_test_tensor(L, index);
  if (ids == NULL)
    luaL_argerror(L, index, lua_pushfstring(L, "%s expects a tensor or an array of token ids, got %s", name,
                                            bind_typename(L, index)));
  if (ids->ndim != 1) return ids;
  GptTensor **row = bind_new_tensor(L); /* [tokens] is a batch of one */
  *row = gpt_unsqueeze(bind_env(L), ids, 0);
  bind_tensor_done(L, row);
  lua_replace(L, index);
  return *row;
}

/* What to do about a value that is no tensor. */
static const char *input_advice(lua_State *L, bool model) {
  if (lua_istable(L, 2)) return "; gpt.tensor(array) makes one";
  bool text = model && lua_type(L, 2) == LUA_TSTRING;
  return text ? "; a tokenizer makes ids of text: model.tokenizer:encode(text)" : "";
}

GptTensor *bind_layer_input(lua_State *L, const GptLayer *layer) {
  bool model = layer->kind == &gpt_model_kind, takes_ids = model || layer->kind == &gpt_embedding_kind;
  if (bind_test_tensor(L, 2) == NULL && !(takes_ids && lua_istable(L, 2)))
    bind_error(L, "%s expects a tensor%s, got %s%s", gpt_layer_name(layer),
               takes_ids ? " or an array of token ids" : "", bind_typename(L, 2),
               input_advice(L, model)); /* no argument error: Lua would count the layer too */
  if (model) return bind_model_ids(L, 2, gpt_layer_name(layer));
  if (lua_istable(L, 2)) bind_ids_tensor(L, 2, false);
  return bind_tensor(L, 2);
}

static bool is_training(const GptEnv *env, const GptLayer *layer) {
  return layer->training && (env->pass == NULL || env->pass->training);
}

/* A failure gains the names that lead from the layer whose forward called to the one that failed; none where that is no
   part of it. */
static bool name_failure(GptEnv *env, const GptLayer *parent, const GptLayer *failed, int depth) {
  for (int i = 0; i < parent->n_children; i++) {
    const GptChild *child = &parent->children[i];
    bool found = child->layer == failed || (depth > 0 && name_failure(env, child->layer, failed, depth - 1));
    if (found) return gpt_fail_inside(env, child->name), true;
  }
  return false;
}

/* layer(x): inside the forward of a layer written in Lua it is part of the pass that runs; outside it begins one, as a
   whole Model always does. */
static int call(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  lua_settop(L, 2);
  GptTensor *x = bind_layer_input(L, layer);
  GptPass fresh = {.training = is_training(env, layer), .random = &env->random};
  bool part = env->pass != NULL && !gpt_layer_is_model(layer);
  GptTensor **y = bind_new_tensor(L);
  *y = gpt_layer_forward(bind_env(L), part ? env->pass : &fresh, layer, x);
  if (*y == NULL && part && env->pass->caller != NULL)
    name_failure(env, env->pass->caller, layer, NAMED_BELOW);
  return bind_tensor_done(L, y);
}

static int layer_print(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptText *text = lua_newuserdatauv(L, sizeof *text, 0);
  gpt_text_init(text, env);
  gpt_layer_print(bind_layer(L, 1), text);
  if (text->failed) {
    gpt_text_free(text);
    return bind_raise(L, env);
  }
  luaL_Buffer buffer; /* the text is the core's: it is freed before anything of Lua's can fail */
  char *copy = luaL_buffinitsize(L, &buffer, text->length);
  memcpy(copy, text->data, text->length);
  size_t length = text->length;
  gpt_text_free(text);
  luaL_pushresultsize(&buffer, length);
  return 1;
}

static int layer_length(lua_State *L) {
  const GptLayer *layer = bind_layer(L, 1);
  lua_pushinteger(L, layer->n_children);
  return 1;
}

/* Methods are upvalue 2 of __index and __newindex. */
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
  if (!bind_layer_is_host(layer)) names[count++] = "kind";
  if (gpt_layer_is_model(layer)) names[count++] = "tokenizer";
  for (int value = FIELDS; value <= CLASS; value++) { /* the layer holds both */
    if (lua_getiuservalue(L, 1, value) == LUA_TTABLE) count = collect_keys(L, lua_gettop(L), names, count);
    lua_pop(L, 1);
  }
  return collect_keys(L, METHODS, names, count);
}

static int unknown_field(lua_State *L, const GptLayer *layer, const char *key) {
  const char *names[MOST_NAMES];
  size_t count = collect_layer_names(L, layer, names);
  const char *near = gpt_suggest(key, names, count), *kind = gpt_layer_name(layer);
  if (strcmp(key, "forward") == 0)
    return bind_error(L, "%s has no method 'forward'; call the layer itself: layer(x)", kind);
  if (near == NULL) return bind_error(L, "%s has no field or method '%s'", kind, key);
  return bind_error(L, "%s has no field or method '%s'; did you mean '%s'?", kind, key, near);
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

/* Parts and fields that a layer of that kind may have: nil where it has none. */
static bool may_lack(const GptLayer *layer, const char *key) {
  if (strcmp(key, "bias") == 0) return layer->kind == &gpt_linear_kind;
  if (strcmp(key, "position_embedding") == 0) return gpt_layer_is_model(layer);
  return strcmp(key, "tokenizer") == 0;
}

static bool found_field(lua_State *L, bool *known) {
  lua_getiuservalue(L, 1, FIELDS);
  if (!found_in_table(L)) return false;
  *known = lua_touserdata(L, -1) == &assigned_nil;
  if (*known) lua_pop(L, 1);
  return !*known;
}

static int index_layer(lua_State *L) {
  bool known = false;
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  if (lua_isinteger(L, 2)) return index_child(L, layer, lua_tointeger(L, 2));
  const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : NULL;
  if (key == NULL) return bind_error(L, "a field of %s expected, got a %s", gpt_layer_name(layer), bind_typename(L, 2));
  if (found_field(L, &known)) return 1;
  GptTensor *parameter = gpt_layer_parameter(layer, key);
  if (parameter != NULL) return bind_share_tensor(L, parameter), 1;
  if (lua_getiuservalue(L, 1, CLASS), found_in_table(L)) return 1;
  if (lua_pushvalue(L, METHODS), found_in_table(L)) return 1;
  if (strcmp(key, "training") == 0) return lua_pushboolean(L, is_training(env, layer)), 1;
  if (known || may_lack(layer, key)) return 0;
  if (strcmp(key, "kind") == 0) return lua_pushstring(L, gpt_layer_name(layer)), 1;
  if (bind_layer_is_host(layer)) return unassigned_field(L, layer, key);
  return unknown_field(L, layer, key);
}

static void set_field(lua_State *L, int value) {
  lua_getiuservalue(L, 1, FIELDS);
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
    if (gpt_layer_parameter(layer, key) != NULL) gpt_layer_remove(layer, key);
    bind_set_child(L, 1, key, 3);
    return 0;
  }
  bool registers = tensor != NULL && tensor->parameter;
  if (gpt_layer_child(layer, key) != NULL || (!registers && gpt_layer_parameter(layer, key) != NULL))
    gpt_layer_remove(layer, key);
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
  if (!gpt_same_shape(tensor, parameter) || tensor->storage->dtype != GPT_F32)
    return bind_error(L, "%s.%s: an f32 tensor of shape %s expected, got %s of %s", gpt_layer_name(layer), key,
                      gpt_tensor_shape_text(parameter, before), gpt_dtype_name(tensor->storage->dtype),
                      gpt_tensor_shape_text(tensor, after));
  bool trains = parameter->requires_grad;
  if (!gpt_layer_set_parameter(env, layer, key, tensor)) return bind_raise(L, env);
  if (trains && tensor->node == NULL) tensor->requires_grad = true;
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
  const char *key = luaL_checklstring(L, 2, &bytes);
  if (strlen(key) != bytes) return bind_error(L, "%s: a field's name cannot hold a zero byte", gpt_layer_name(layer));
  if (strcmp(key, "tokenizer") == 0 && layer->kind == &gpt_model_kind) return set_field(L, 3), 0;
  if (strcmp(key, "training") == 0)
    return bind_error(L, "%s.training is read-only: call train() or eval()", gpt_layer_name(layer));
  if (strcmp(key, "kind") == 0 && !bind_layer_is_host(layer))
    return bind_error(L, "%s.kind is read-only", gpt_layer_name(layer));
  return bind_layer_is_host(layer) ? assign_host(L, env, layer, key) : assign_part(L, env, layer, key);
}

static const luaL_Reg meta[] = {
    {"__gc", layer_collect}, {"__call", call}, {"__tostring", layer_print}, {"__len", layer_length}, {NULL, NULL}};

/* Sets a metamethod with the environment and the methods (on top of the stack) as upvalues. */
static void set_with_methods(lua_State *L, const char *name, lua_CFunction function) {
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_pushvalue(L, -2);
  lua_pushcclosure(L, function, 2);
  lua_setfield(L, -3, name);
}

/* _layer_methods: the table of methods, for those that are written in Lua. */
void bind_open_layer(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushstring(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_setfield(L, LUA_REGISTRYINDEX, LAYERS_KEY);
  luaL_newmetatable(L, BIND_LAYER);
  bind_functions(L, meta);
  lua_newtable(L);
  bind_functions(L, bind_layer_methods);
  set_with_methods(L, "__index", index_layer);
  set_with_methods(L, "__newindex", assign);
  lua_setfield(L, -3, "_layer_methods");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 1);
}
