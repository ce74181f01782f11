/* Sessions in Lua, for other files of the binding. */
#ifndef GPT_BINDING_SESSION_H
#define GPT_BINDING_SESSION_H

#include "binding/binding.h"
#include "core/nn/session.h"

#define BIND_SESSION "gpt.Session"

/* The session at index, borrowed; NULL where the value is none. A freed one is an error. */
GptSession *bind_test_session(lua_State *L, int index);

#endif
