/* What an optimizer or gpt.clip_grad_norm works on: a layer, a list of tensors and layers, or a list of groups of
   these. */
#ifndef GPT_BINDING_PARAMETERS_H
#define GPT_BINDING_PARAMETERS_H

#include "binding/binding.h"
#include "core/nn/layer_parameters.h"

/* Pushes a list of all parameters of a layer that Lua frees. */
GptParameterList *bind_push_parameters(lua_State *L, GptLayer *layer);

/* Called with every parameter, in order. name: its path in a layer, "2" or "2.weight" in a list, "1.2.weight" in a list
   of groups; group counts from 0. It may raise. */
typedef void (*BindParameterVisit)(lua_State *L, void *context, int64_t group, const char *name, GptTensor *tensor);

/* Visits all parameters of the value at index; anything else in it is an error that begins with what. Returns the
   number of groups. */
int64_t bind_each_parameter(lua_State *L, int index, const char *what, BindParameterVisit visit, void *context);

/* Is the value at index a list of groups? */
bool bind_is_grouped(lua_State *L, int index);

#endif
