/* Layers from one dtype to another. */
#include "core/nn/layer_dtype.h"

#include "binding/layer.h"
#include "binding/parameters.h"
#include "binding/tensor.h"
#include "core/nn/layer_pack.h"
#include "core/nn/layer_parameters.h"

/* Pushes the parameters and a table of all their paths: after the conversion nothing may fail. */
static const GptParameterList *push_paths(lua_State *L, GptLayer *layer) {
  const GptParameterList *list = bind_push_parameters(L, layer);
  lua_createtable(L, (int)list->count, 0);
  for (int64_t i = 0; i < list->count; i++) {
    lua_pushstring(L, list->items[i].path);
    lua_rawseti(L, -2, i + 1);
  }
  return list;
}

/* Leaves the paths of the weights that are f16 in the table on top; returns how many. It allocates nothing. */
static lua_Integer keep_unfit(lua_State *L, const GptParameterList *list) {
  lua_Integer count = 0;
  for (int64_t i = 0; i < list->count; i++) {
    if (list->items[i].tensor->storage->dtype != GPT_F16) continue;
    lua_rawgeti(L, -1, i + 1);
    lua_rawseti(L, -2, ++count);
  }
  for (int64_t i = count; i < list->count; i++) {
    lua_pushnil(L);
    lua_rawseti(L, -2, i + 1);
  }
  return count;
}

/***
Converts the weights of every Linear and Embedding in the tree to another dtype, in place; all other parameters stay
f32. Tied weights stay tied. Smaller weights are read faster: with bf16 a token takes about half the time of f32, with
q8_0 and q4_0 less, but numbers are rounded more. Training needs f32: weights of another dtype have no gradient, but
gradients flow through them, so you can train small f32 layers together with them. Weights that become f32 again require
gradients.

Blocks of 32 numbers run along a weight's rows (its last dimension). A weight whose rows do not divide into blocks
becomes f16 instead, and its path is returned.
@function Layer:to
@string dtype "f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0" or "q5_1"
@treturn Layer the layer itself
@treturn {string,...} the paths of weights that became f16 because their rows do not divide into blocks; nil if there
are none
@usage model:to "q8_0"
*/
int bind_layer_to(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptLayer *layer = bind_layer(L, 1);
  bind_check_string(L, 2);
  GptDtype dtype = bind_dtype(L, 2);
  lua_settop(L, 1);
  const GptParameterList *list = gpt_dtype_blocked(dtype) ? push_paths(L, layer) : NULL;
  if (!gpt_layer_convert(env, layer, dtype)) return bind_raise(L, env);
  if (list != NULL && keep_unfit(L, list) > 0) {
    lua_remove(L, 2); /* the list of parameters */
    return 2;
  }
  lua_settop(L, 1);
  return 1;
}

/***
Makes panels of the weights of every Linear in the tree, for weights of any dtype but f32, and keeps them beside the
weights: products of three rows or more then need not make them each time. That is for serving many conversations
together (8 streams run up to twice as fast) and for short prompts; one conversation alone runs faster over q4_0 and
q4_1 only. For each number it takes 0.56 bytes of q4_0, 0.63 of q4_1, 0.75 of q4_k, 1.06 to 1.25 of the other block
types and 2 of f16 and bf16, which `gpt.memory().live` counts. Results differ by rounding at most. A weight that is
converted, replaced or written to does without its panels; the memory goes with the last weight of those packed together.
@function Layer:pack
@treturn Layer the layer itself
@raise without memory for it
@usage model:to("q8_0"):pack()
*/
int bind_layer_pack(lua_State *L) {
  if (!gpt_layer_pack(bind_env(L), bind_layer(L, 1))) return bind_raise(L, bind_env(L));
  lua_settop(L, 1);
  return 1;
}

/* _dtypes: { name, block, bytes of a block, can it be written } of every dtype of floats, in the order of the table */
void bind_open_dtypes(lua_State *L) {
  lua_newtable(L);
  for (int i = 0, n = 0; i < GPT_DTYPES; i++) {
    const GptDtypeRow *row = gpt_dtype((GptDtype)i);
    if (i == GPT_I64) continue;
    lua_createtable(L, 0, 4);
    lua_pushstring(L, row->name);
    lua_setfield(L, -2, "name");
    lua_pushinteger(L, row->block);
    lua_setfield(L, -2, "block");
    lua_pushinteger(L, (lua_Integer)row->bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushboolean(L, row->from_floats != NULL);
    lua_setfield(L, -2, "writable");
    lua_rawseti(L, -2, ++n);
  }
  lua_setfield(L, -2, "_dtypes");
}
