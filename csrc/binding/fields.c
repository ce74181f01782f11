#include "binding/fields.h"

#include <math.h>
#include <stdio.h>

#include "core/base/numbers.h"

/* Pushes the field; false where it is missing. */
static bool get(lua_State *L, int table, const char *name) { return lua_getfield(L, table, name) != LUA_TNIL; }

void bind_refuse_field(lua_State *L, const char *what, const char *name, const char *expected) {
  bind_error(L, "%s: %s: %s expected, got %s", what, name, expected, bind_shown(L, -1));
}

int64_t bind_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least) {
  char expected[64] = "a whole number";
  int whole = 0;
  bool given = get(L, table, name);
  lua_Integer value = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &whole) : 0;
  if (least != INT64_MIN) snprintf(expected, sizeof expected, "a whole number of at least %lld", (long long)least);
  if (!given) bind_error(L, "%s: %s: missing; %s expected", what, name, expected);
  if (!whole || value < least) bind_refuse_field(L, what, name, expected);
  lua_pop(L, 1);
  return value;
}

int64_t bind_opt_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least,
                               int64_t otherwise) {
  bool given = get(L, table, name);
  lua_pop(L, 1);
  return given ? bind_integer_field(L, table, what, name, least) : otherwise;
}

double bind_opt_number_within(lua_State *L, int table, const char *what, const char *name, BindRange range,
                              double otherwise) {
  double value = otherwise;
  if (get(L, table, name)) {
    value = lua_type(L, -1) == LUA_TNUMBER ? lua_tonumber(L, -1) : NAN;
    bool fits = range.above ? value > range.low : value >= range.low;
    if (!fits || !(range.below ? value < range.high : value <= range.high))
      bind_refuse_field(L, what, name, range.expected);
  }
  lua_pop(L, 1);
  return value;
}

double bind_opt_number_field(lua_State *L, int table, const char *what, const char *name, double low, double high,
                             double otherwise) {
  char expected[64];
  if (high < INFINITY) gpt_format(expected, sizeof expected, "a number from %g to less than %g", low, high);
  else gpt_format(expected, sizeof expected, "a finite number of at least %g", low);
  BindRange range = {.low = low, .high = high, .below = true, .expected = expected};
  return bind_opt_number_within(L, table, what, name, range, otherwise);
}

bool bind_opt_boolean_field(lua_State *L, int table, const char *what, const char *name, bool otherwise) {
  bool value = otherwise;
  if (get(L, table, name)) {
    if (!lua_isboolean(L, -1)) bind_refuse_field(L, what, name, "true or false");
    value = lua_toboolean(L, -1);
  }
  lua_pop(L, 1);
  return value;
}
