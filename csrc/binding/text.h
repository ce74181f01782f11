/* Texts that the core writes, on their way to Lua. */
#ifndef GPT_BINDING_TEXT_H
#define GPT_BINDING_TEXT_H

#include "binding/binding.h"
#include "core/base/text.h"

/* Pushes an empty text, which Lua frees, whatever happens. */
GptText *bind_push_text(lua_State *L);

/* Pushes what is in it, and frees it now; raises where memory was short. */
void bind_push_text_done(lua_State *L, GptText *text);

#endif
