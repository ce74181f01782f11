/* Unknown options, for the package's Lua files. */
#include "binding/binding.h"

#define MOST_OPTIONS 64

/* _check_options(options, what, names): raises where options has a key that the array names has not. */
static int check_options(lua_State *L) {
  const char *names[MOST_OPTIONS + 1], *what = luaL_checkstring(L, 2);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 3, LUA_TTABLE);
  int count = 0;
  for (; count < MOST_OPTIONS && lua_rawgeti(L, 3, count + 1) == LUA_TSTRING; count++) {
    names[count] = lua_tostring(L, -1); /* the array keeps it */
    lua_pop(L, 1);
  }
  names[count] = NULL;
  lua_settop(L, 3);
  bind_check_options(L, 1, what, names);
  return 0;
}

static const luaL_Reg functions[] = {{"_check_options", check_options}, {NULL, NULL}};

void bind_open_options(lua_State *L) { bind_functions(L, functions); }
