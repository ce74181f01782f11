/* The type gpt.Layer: its box, its fields, its call. */
#include "binding/layer.h"

#include <string.h>

#include "binding/ids.h"
#include "binding/tensor.h"
#include "binding/text.h"
#include "core/nn/layer_print.h"
#include "core/nn/layers/kinds.h"
#include "core/ops/shape.h"

#define LAYERS_KEY "gpt.layers" /* registry: core pointer -> userdata, weak */
#define NAMED_BELOW 2 /* parts of parts that failures are named by: those of a List, say */

/***
A layer, made by the functions of gpt.nn: called with a tensor it returns a tensor. Its parts and parameters are fields,
by name or, in a List or Sequential, by number; assign to a field to replace one.
@classmod Layer
@usage local layer = gpt.nn.Sequential { gpt.nn.Linear(2, 3), gpt.nn.GELU() }
print(layer(gpt.ones(1, 2)), layer[1].weight)
*/

/***
Is the layer in training mode? Read-only: train() and eval() set it.
@tfield boolean Layer.training
*/

/***
The kind of layer: "Linear", "Model", or the name of a layer written in Lua. Read-only, except that a layer written in
Lua may have its own field of that name.
@tfield string Layer.kind
@usage layer:apply(function(each) if each.kind == "Dropout" then print(each) end end)
*/

/***
The tokenizer for string prompts, or nil. You may set it.
@tfield Tokenizer|nil Model.tokenizer
*/

/***
The chat template from the model's files (Jinja), or nil. You may set it; it is saved with the model.
@tfield string|nil Model.chat_template
*/

/***
A copy of the config that the model was made from.
@tfield table Model.config
*/

GptLayer *bind_layer(lua_State *L, int index) { return bind_check(L, index, BIND_LAYER); }

GptLayer *bind_test_layer(lua_State *L, int index) { return bind_test(L, index, BIND_LAYER); }

GptModel *bind_model(lua_State *L, int index) {
  GptLayer *layer = bind_layer(L, index);
  if (!gpt_layer_is_model(layer))
    bind_argument_error(L, index, lua_pushfstring(L, "a Model expected, got a layer of kind %s", gpt_layer_name(layer)));
  return (GptModel *)layer;
}

GptLayer **bind_new_layer(lua_State *L) { return (GptLayer **)bind_push_box(L, BIND_LAYER, 2); }

/* Gives the userdata at the top its table of fields and its entry in the registry's table. */
static void enter_layer(lua_State *L, const GptLayer *layer) {
  lua_newtable(L);
  lua_setiuservalue(L, -2, BIND_LAYER_FIELDS);
  lua_getfield(L, LUA_REGISTRYINDEX, LAYERS_KEY);
  lua_pushvalue(L, -2);
  lua_rawsetp(L, -2, layer);
  lua_pop(L, 1);
}

/* Mirrors the core's edges from the userdata at the top to its children. */
static void mirror_children(lua_State *L, const GptLayer *layer) {
  luaL_checkstack(L, 8, "layers are nested too deep");
  lua_getiuservalue(L, -1, BIND_LAYER_FIELDS);
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
  lua_getiuservalue(L, layer, BIND_LAYER_FIELDS);
  lua_pushvalue(L, child);
  lua_setfield(L, -2, name); /* first the edge that the collector sees */
  lua_pop(L, 1);
  if (!gpt_layer_set_child(env, bind_layer(L, layer), name, bind_layer(L, child))) bind_raise(L, env);
}

/* __gc: a layer with Lua behind it lets go of its parts, which breaks circles. */
static int layer_collect(lua_State *L) {
  GptLayer *layer = bind_take(L, BIND_LAYER);
  if (layer == NULL) return 0;
  if (layer->kind->host) gpt_layer_clear(layer);
  gpt_layer_release(layer);
  return 0;
}

GptTensor *bind_model_ids(lua_State *L, int index, const char *name) {
  if (lua_istable(L, index)) bind_ids_tensor(L, index, true);
  GptTensor *ids = bind_test_tensor(L, index);
  if (ids == NULL)
    bind_argument_error(L, index, lua_pushfstring(L, "%s expects a tensor or an array of token ids, got %s", name,
                                            bind_typename(L, index)));
  if (ids->ndim != 1) return ids;
  GptTensor **row = bind_new_tensor(L); /* [tokens] is a batch of one */
  *row = gpt_unsqueeze(bind_env(L), bind_tensor(L, index), 0);
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
  bool model = gpt_layer_is_model(layer), takes_ids = model || layer->kind == &gpt_embedding_kind;
  if (bind_test_tensor(L, 2) == NULL && !(takes_ids && lua_istable(L, 2)))
    bind_error(L, "%s expects a tensor%s, got %s%s", gpt_layer_name(layer),
               takes_ids ? " or an array of token ids" : "", bind_typename(L, 2),
               input_advice(L, model)); /* no argument error: Lua would count the layer too */
  if (model) return bind_model_ids(L, 2, gpt_layer_name(layer));
  if (lua_istable(L, 2)) bind_ids_tensor(L, 2, false);
  return bind_tensor(L, 2);
}

bool bind_is_training(const GptEnv *env, const GptLayer *layer) {
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

/* Arguments behind x are for layers written in Lua; trailing nils are none. */
static void check_arguments(lua_State *L, const GptLayer *layer) {
  while (lua_gettop(L) > 2 && !layer->kind->host && lua_isnil(L, -1)) lua_pop(L, 1);
  if (lua_gettop(L) > 2 && !layer->kind->host)
    bind_error(L, "%s takes one argument, got %d: only layers written in Lua take more, and Sequential and Shortcut hand "
               "on x alone", gpt_layer_name(layer), lua_gettop(L) - 1);
  lua_settop(L, lua_gettop(L) < 2 ? 2 : lua_gettop(L));
}

/* layer(x, ...): inside the forward of a layer written in Lua it is part of the pass that runs; outside it begins one,
   as a whole Model always does. A layer written in Lua may return more than the tensor; that lies on the stack then. */
static int call(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  check_arguments(L, layer);
  bind_layer_input(L, layer);
  GptPass fresh = gpt_pass(env, bind_is_training(env, layer));
  bool part = env->pass != NULL && !gpt_layer_is_model(layer);
  GptPass *pass = part ? env->pass : &fresh;
  BindLayerCall arguments = {.first = 3, .count = lua_gettop(L) - 2};
  GptTensor **y = bind_new_tensor(L), *x = bind_tensor(L, 2);
  pass->host_call = layer->kind->host ? &arguments : NULL;
  *y = gpt_layer_forward(env, pass, layer, x);
  pass->host_call = NULL;
  if (*y == NULL && part && env->pass->caller != NULL) name_failure(env, env->pass->caller, layer, NAMED_BELOW);
  return bind_tensor_done(L, y) + arguments.results;
}

int bind_push_printed(lua_State *L, void (*print)(GptLayer *, GptText *)) {
  GptText *text = bind_push_text(L);
  print(bind_layer(L, 1), text);
  bind_push_text_done(L, text);
  return 1;
}

static int layer_print(lua_State *L) { return bind_push_printed(L, gpt_layer_print); }

static int layer_length(lua_State *L) {
  const GptLayer *layer = bind_layer(L, 1);
  lua_pushinteger(L, layer->n_children);
  return 1;
}

static const luaL_Reg meta[] = {
    {"__gc", layer_collect}, {"__call", call}, {"__tostring", layer_print}, {"__len", layer_length}, {NULL, NULL}};

/* _layer_methods: the table of methods, for those that are written in Lua. */
void bind_open_layer(lua_State *L) {
  bind_push_weak(L, "v");
  lua_setfield(L, LUA_REGISTRYINDEX, LAYERS_KEY);
  luaL_newmetatable(L, BIND_LAYER);
  bind_functions(L, meta);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, BIND_METHODS);
  lua_setfield(L, -3, "_layer_methods");
  lua_pop(L, 1);
}
