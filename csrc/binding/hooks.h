/* Hooks in Lua, for other files of the binding. */
#ifndef GPT_BINDING_HOOKS_H
#define GPT_BINDING_HOOKS_H

#include "binding/binding.h"
#include "core/nn/hooks.h"

/* Replaces the value on top, a field `hooks` for the layer at index, by hooks as _hooks makes them (nil stays nil), and
 * returns them, borrowed; who begins messages. */
GptHooks *bind_hooks_field(lua_State *L, int layer, const char *who);

#endif
