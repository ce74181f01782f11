/*
 * luagpt inside one program: libluagpt.a holds the core and the Lua files, and gpt_preload makes `require "gpt"` find
 * them there.
 */
#ifndef LUAGPT_H
#define LUAGPT_H

#include <lua.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Enters all modules into package.preload, whose library has to be open. Raises only where Lua has no memory. */
void gpt_preload(lua_State *L);

/* The C part, as require "gpt.core" opens it. */
int luaopen_gpt_core(lua_State *L);

#ifdef __cplusplus
}
#endif

#endif
