/* Lua files that lie in the program itself. */
#include <lauxlib.h>
#include <lualib.h>

#include "static/luagpt.h"
#include "static/lua_files.h"

/* The module's loader, as require calls it: the file is given its name and its path, as if it lay in a directory. */
static int load_file(lua_State *L) {
  const GptLuaFile *file = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 1);
  if (luaL_loadbufferx(L, file->text, file->length, file->chunk, "t") != LUA_OK) return lua_error(L);
  lua_insert(L, 1);
  lua_pushstring(L, file->chunk + 1);
  lua_call(L, 2, 1);
  return 1;
}

void gpt_preload(lua_State *L) {
  luaL_checkstack(L, 4, "gpt_preload");
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, luaopen_gpt_core);
  lua_setfield(L, -2, "gpt.core");
  for (const GptLuaFile *file = gpt_lua_files; file->module != NULL; file++) {
    lua_pushlightuserdata(L, (void *)file);
    lua_pushcclosure(L, load_file, 1);
    lua_setfield(L, -2, file->module);
  }
  lua_pop(L, 1);
}
