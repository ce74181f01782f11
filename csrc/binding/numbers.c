/* What the package's Lua needs of C so that its output does not depend on the host's locale (lua/gpt/support/neutral.lua). */
#include "core/base/numbers.h"

#include <string.h>

#include "binding/binding.h"

/* _format(format, ...): string.format, with a point in every number. The call is protected: the locale always comes
   back. */
static int format_text(lua_State *L) {
  bind_check_string(L, 1);
  luaL_getmetafield(L, 1, "__index");
  lua_getfield(L, -1, "format");
  lua_replace(L, -2);
  lua_insert(L, 1);
  GptLocale locale = gpt_numbers_begin();
  int status = lua_pcall(L, lua_gettop(L) - 1, 1, 0);
  gpt_numbers_end(locale);
  return status == LUA_OK ? 1 : lua_error(L);
}

/* _before(a, b): whether a string comes before another by their bytes; Lua's own < asks the locale. */
static int comes_before(lua_State *L) {
  size_t n, m;
  const char *a = bind_check_bytes(L, 1, &n), *b = bind_check_bytes(L, 2, &m);
  int order = memcmp(a, b, n < m ? n : m);
  lua_pushboolean(L, order != 0 ? order < 0 : n < m);
  return 1;
}

static const luaL_Reg functions[] = {{"_format", format_text}, {"_before", comes_before}, {NULL, NULL}};

void bind_open_numbers(lua_State *L) { bind_functions(L, functions); }
