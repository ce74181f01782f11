/* Methods that every layer has. */
#include <string.h>

#include "binding/layer.h"
#include "binding/parameters.h"
#include "binding/tensor.h"
#include "core/nn/layer_parameters.h"
#include "core/nn/layer_tree.h"

/* A list of layers that Lua frees, whatever happens. */
#define LAYER_LIST "gpt.LayerList"

static int free_layer_list(lua_State *L) {
  gpt_layer_list_free(bind_check_userdata(L, 1, LAYER_LIST));
  return 0;
}

static int next_parameter(lua_State *L) {
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(3)) + 1;
  lua_rawgeti(L, lua_upvalueindex(1), i);
  lua_rawgeti(L, lua_upvalueindex(2), i);
  lua_pushinteger(L, i);
  lua_replace(L, lua_upvalueindex(3));
  return 2;
}

/***
Iterates over all parameters, in creation order, shared ones once: `for path, tensor in layer:parameters() do`.
@function Layer:parameters
@treturn function iterator of path ("blocks.3.attention.query.weight") and tensor
@usage for path, tensor in layer:parameters() do print(path, tensor:numel()) end
*/
static int parameters(lua_State *L) {
  GptParameterList *list = bind_push_parameters(L, bind_layer(L, 1));
  lua_createtable(L, (int)list->count, 0);
  lua_createtable(L, (int)list->count, 0);
  for (int64_t i = 0; i < list->count; i++) {
    lua_pushstring(L, list->items[i].path);
    lua_rawseti(L, -3, i + 1);
    bind_share_tensor(L, list->items[i].tensor);
    lua_rawseti(L, -2, i + 1);
  }
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_parameter, 3);
  return 1;
}

/***
The number of elements of all parameters; shared ones count once.
@function Layer:num_parameters
@treturn integer
@usage print(layer:num_parameters())
*/
static int num_parameters(lua_State *L) {
  lua_pushinteger(L, gpt_parameter_list_numel(bind_push_parameters(L, bind_layer(L, 1))));
  return 1;
}

static int next_child(lua_State *L) {
  const GptLayer *layer = bind_layer(L, lua_upvalueindex(2));
  lua_Integer i = lua_tointeger(L, lua_upvalueindex(3));
  if (i >= layer->n_children) return 0;
  lua_pushinteger(L, i + 1);
  lua_replace(L, lua_upvalueindex(3));
  bind_push_layer(L, layer->children[i].layer); /* which allocates nothing: a layer's parts are known to Lua */
  lua_pushstring(L, layer->children[i].name);
  lua_insert(L, -2);
  return 2;
}

/***
Iterates over the layer's own parts: `for name, child in layer:children() do`.
@function Layer:children
@treturn function iterator of name and layer
@usage for name, child in model:children() do print(name, child:num_parameters()) end
*/
static int children(lua_State *L) {
  bind_layer(L, 1);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  lua_pushcclosure(L, next_child, 3);
  return 1;
}

/***
Returns the layer at a path: `model:find("blocks.3.attention")`.
@function Layer:find
@tparam string path names joined by dots
@treturn Layer
@usage model:find("blocks.1.attention.query")
*/
static int layer_find(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *found = gpt_layer_find(env, bind_layer(L, 1), bind_check_string(L, 2));
  if (found == NULL) return bind_raise(L, env);
  bind_push_layer(L, found);
  return 1;
}

/***
Replaces the layer at a path: `model:replace("blocks.3.feed_forward", other)`.
@function Layer:replace
@tparam string path of the part to replace
@tparam Layer layer that takes its place
@treturn Layer the layer itself
@usage model:replace("blocks.1.feed_forward.activation", gpt.nn.ReLU())
*/
static int replace(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1), *with = bind_layer(L, 3);
  const char *path = bind_check_string(L, 2), *dot = strrchr(path, '.');
  lua_settop(L, 3);
  lua_pushlstring(L, path, dot != NULL ? (size_t)(dot - path) : 0);
  GptLayer *parent = gpt_layer_find(env, layer, lua_tostring(L, -1));
  if (parent == NULL) return bind_raise(L, env);
  bind_push_layer(L, parent);
  lua_getiuservalue(L, -1, BIND_LAYER_FIELDS);
  if (!gpt_layer_replace(env, layer, path, with)) return bind_raise(L, env);
  lua_pushvalue(L, 3);
  lua_setfield(L, -2, dot != NULL ? dot + 1 : path);
  lua_settop(L, 1);
  return 1;
}

/* Pushes a list of the distinct layers of a tree, parts before the whole. */
static const GptLayerList *push_layers(lua_State *L, GptLayer *root) {
  GptLayerList *list = lua_newuserdatauv(L, sizeof *list, 0);
  *list = (GptLayerList){.env = bind_env(L)};
  bind_set_type(L, LAYER_LIST);
  if (!gpt_layer_list(bind_env(L), root, true, list)) bind_raise(L, bind_env(L));
  return list;
}

/***
Calls a function with every layer of the tree, once each, parts before the whole. Layers that the function adds are not
visited.
@function Layer:apply
@tparam function fn called with a layer
@treturn Layer the layer itself
@usage model:apply(function(each) each:eval() end)
*/
static int layer_apply(lua_State *L) {
  GptLayer *layer = bind_layer(L, 1);
  bind_check_type(L, 2, LUA_TFUNCTION);
  lua_settop(L, 2);
  const GptLayerList *list = push_layers(L, layer);
  for (int64_t i = 0; i < list->count; i++) {
    lua_pushvalue(L, 2);
    bind_push_layer(L, list->layers[i]);
    lua_call(L, 1, 0);
  }
  lua_settop(L, 1);
  return 1;
}

/***
Excludes all parameters from training: they no longer require a gradient, and lose the one they have.
@function Layer:freeze
@treturn Layer the layer itself
@usage model.blocks[1]:freeze()
*/
static int freeze(lua_State *L) {
  const GptParameterList *list = bind_push_parameters(L, bind_layer(L, 1));
  for (int64_t i = 0; i < list->count; i++) {
    if (!gpt_tensor_set_grad(list->items[i].tensor, NULL)) return bind_raise(L, bind_env(L));
    list->items[i].tensor->requires_grad = false;
  }
  lua_settop(L, 1);
  return 1;
}

/***
Makes all parameters trainable again, after freeze: they require gradients.
@function Layer:unfreeze
@treturn Layer the layer itself
@usage model:freeze()
model.head:unfreeze()   -- the head alone trains
*/
static int unfreeze(lua_State *L) {
  const GptParameterList *list = bind_push_parameters(L, bind_layer(L, 1));
  for (int64_t i = 0; i < list->count; i++)
    list->items[i].tensor->requires_grad = list->items[i].tensor->storage->dtype == GPT_F32;
  lua_settop(L, 1);
  return 1;
}

static int layer_set_mode(lua_State *L, bool training) {
  gpt_layer_set_training(bind_layer(L, 1), training);
  lua_settop(L, 1);
  return 1;
}

/***
Sets the layer and all its parts to training mode: dropout is active.
@function Layer:train
@treturn Layer the layer itself
@usage layer:train()
print(layer.training)  --> true
*/
static int train(lua_State *L) {
  if (!lua_isnoneornil(L, 2))
    return bind_error(
        L,
        "train() only turns training mode on and takes no arguments; gpt.train { model = model, data = data } trains");
  return layer_set_mode(L, true);
}

/***
Sets the layer and all its parts to evaluation mode: dropout does nothing.
@function Layer:eval
@treturn Layer the layer itself
@usage layer:eval()
print(layer.training)  --> false
*/
static int eval(lua_State *L) { return layer_set_mode(L, false); }

static const luaL_Reg methods[] = {{"parameters", parameters},
                                   {"num_parameters", num_parameters},
                                   {"children", children},
                                   {"find", layer_find},
                                   {"replace", replace},
                                   {"apply", layer_apply},
                                   {"to", bind_layer_to},
                                   {"pack", bind_layer_pack},
                                   {"freeze", freeze},
                                   {"unfreeze", unfreeze},
                                   {"train", train},
                                   {"eval", eval},
                                   {NULL, NULL}};

/* Adds them to the table that bind_open_layer made. */
void bind_open_layer_methods(lua_State *L) {
  luaL_newmetatable(L, LAYER_LIST);
  lua_pushcfunction(L, free_layer_list);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
  bind_push_methods(L, BIND_LAYER);
  bind_functions(L, methods);
  lua_pop(L, 1);
}
