/*
 * Layers in Lua. Every layer has one userdata while it can be reached, found through a weak table in the registry. Each
 * edge from a layer to its child has a twin in Lua: the userdata's table of fields (its first user value) refers to the
 * child's userdata. So the collector sees all edges, and a layer written in Lua (its second user value: its class)
 * lives as long as the stack that it stands in.
 * Fields are read and assigned in layer_fields.c, methods stand in layer_methods.c, layers of Lua in layer_host.c.
 */
#ifndef GPT_BINDING_LAYER_H
#define GPT_BINDING_LAYER_H

#include "binding/binding.h"
#include "core/nn/layer.h"
#include "core/nn/model.h"

#define BIND_LAYER "gpt.Layer"

enum { BIND_LAYER_FIELDS = 1, BIND_LAYER_CLASS }; /* a layer's user values */

/* The layer at index, borrowed; an argument error for anything else. Or NULL where the value is no layer. */
GptLayer *bind_layer(lua_State *L, int index);
GptLayer *bind_test_layer(lua_State *L, int index);
GptModel *bind_model(lua_State *L, int index);

/* Pushes the userdata of a layer, and makes those that it and the tree below it do not have yet. */
void bind_push_layer(lua_State *L, GptLayer *layer);

/* Pushes an empty box, to be filled with a new reference; then finishes it: raises the core's error where it is NULL.
 * Returns 1. */
GptLayer **bind_new_layer(lua_State *L);
int bind_layer_done(lua_State *L, GptLayer **box);

/* Puts a child under a layer, in the core and in Lua. */
void bind_set_child(lua_State *L, int layer, const char *name, int child);

/* What a layer is called with, at index 2, where it is left as a tensor: ids for a Model or an Embedding may come as
 * plain arrays, and a Model takes one row as a batch of one. */
GptTensor *bind_layer_input(lua_State *L, const GptLayer *layer);

/* What a call of a layer from Lua has besides x, for a layer written in Lua: in the pass's host_call. */
typedef struct BindLayerCall {
  int first, count; /* where the arguments behind x lie on the stack */
  int results;      /* returned behind the tensor, on top of the stack */
} BindLayerCall;

/* Pushes what a function of the core prints of the layer at 1. Returns 1. */
int bind_push_printed(lua_State *L, void (*print)(GptLayer *layer, GptText *text));

/* Does the layer train, here and now? Its own mode, and the pass's that runs. */
bool bind_is_training(const GptEnv *env, const GptLayer *layer);

/* Token ids at index for a model, in any form that it takes, as a tensor [batch, tokens] in the same place. name: whose
   they are, for messages. */
GptTensor *bind_model_ids(lua_State *L, int index, const char *name);

/* layer_dtype.c: layer:to(dtype), layer:pack() */
int bind_layer_pack(lua_State *L);
int bind_layer_to(lua_State *L);

#endif
