/* Grammars in Lua. */
#ifndef GPT_BINDING_GRAMMAR_H
#define GPT_BINDING_GRAMMAR_H

#include "binding/binding.h"
#include "core/generate/grammar_matcher.h"

/* The cursor at index, or NULL for none. */
GptCursor *bind_opt_cursor(lua_State *L, int index);

#endif
