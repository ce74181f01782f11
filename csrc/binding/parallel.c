/* gpt.set_threads and gpt.threads. */
#include "core/base/parallel.h"

#include <limits.h>

#include "binding/binding.h"

/***
Sets how many threads compute, the calling one included. It holds for the whole process, from the next operation
on; results do not depend on it.
@function set_threads
@tparam[opt=0] integer n 0 or nil: as many as the process may use (its processor affinity and its cgroup's quota)
@usage gpt.set_threads(2)
*/
static int set_threads(lua_State *L) {
  lua_Integer n = 0;
  if (!lua_isnoneornil(L, 1)) {
    if (!lua_isinteger(L, 1) || lua_tointeger(L, 1) < 0)
      return bind_error(L, "gpt.set_threads: a number of threads expected (0 or nil for the default), got %s",
                        bind_tostring(L, 1));
    n = lua_tointeger(L, 1);
  }
  gpt_threads_set(n > INT_MAX ? INT_MAX : (int)n);
  return 0;
}

/***
How many threads compute, the calling one included.
@function threads
@treturn integer
@usage print(gpt.threads())
*/
static int threads(lua_State *L) {
  lua_pushinteger(L, gpt_threads());
  return 1;
}

static const luaL_Reg functions[] = {{"set_threads", set_threads}, {"threads", threads}, {NULL, NULL}};

void bind_open_parallel(lua_State *L) { bind_functions(L, functions); }
