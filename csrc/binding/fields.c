#include "binding/fields.h"

#include <math.h>
#include <stdio.h>

/* Pushes the field; false where it is missing. */
static bool get(lua_State *L, int table, const char *name) { return lua_getfield(L, table, name) != LUA_TNIL; }

int64_t bind_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least) {
  int whole = 0;
  bool given = get(L, table, name);
  lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
  if (!given) bind_error(L, "%s: '%s' is missing: a whole number of at least %d expected", what, name, (int)least);
  if (!whole || value < least)
    bind_error(L, "%s: '%s': a whole number of at least %d expected, got %s", what, name, (int)least,
               luaL_tolstring(L, -1, NULL));
  lua_pop(L, 1);
  return value;
}

int64_t bind_opt_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least,
                               int64_t otherwise) {
  bool given = get(L, table, name);
  lua_pop(L, 1);
  return given ? bind_integer_field(L, table, what, name, least) : otherwise;
}

double bind_opt_number_field(lua_State *L, int table, const char *what, const char *name, double low, double high,
                             double otherwise) {
  char range[64];
  double value = otherwise;
  if (get(L, table, name)) {
    value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    snprintf(range, sizeof range, "from %g to less than %g", low, high);
    if (!(value >= low && value < high))
      bind_error(L, "%s: '%s': a number %s expected, got %s", what, name, range, luaL_tolstring(L, -1, NULL));
  }
  lua_pop(L, 1);
  return value;
}

bool bind_opt_boolean_field(lua_State *L, int table, const char *what, const char *name, bool otherwise) {
  bool value = otherwise;
  if (get(L, table, name)) {
    if (!lua_isboolean(L, -1))
      bind_error(L, "%s: '%s': true or false expected, got %s", what, name, luaL_tolstring(L, -1, NULL));
    value = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return value;
}
