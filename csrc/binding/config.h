/* A config table, checked and completed by lua/gpt/config.lua, as the core's struct. */
#ifndef GPT_BINDING_CONFIG_H
#define GPT_BINDING_CONFIG_H

#include "binding/binding.h"
#include "core/nn/layers/layers.h"

/* Pushes one value, which holds what the config points at and has to live as long. */
void bind_config(lua_State *L, int index, GptConfig *config);

/* The field `activation` of a table: "gelu" where it is missing. */
GptActivation bind_activation_field(lua_State *L, int table, const char *what);

#endif
