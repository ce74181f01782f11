/* gpt.memory and gpt.trim. */
#include "core/base/memory.h"

#include "binding/binding.h"
#include "core/base/limits.h"

static void set_bytes(lua_State *L, const char *name, size_t bytes) {
  lua_pushinteger(L, (lua_Integer)bytes);
  lua_setfield(L, -2, name);
}

static void set_limit(lua_State *L, GptEnv *env) {
  static const char *const names[] = {"limit", NULL};
  bind_check_type(L, 1, LUA_TTABLE);
  bind_check_options(L, 1, "gpt.memory", names);
  lua_getfield(L, 1, "limit");
  if (!bind_is_whole(L, -1) || lua_tointeger(L, -1) < 0)
    bind_error(L, "gpt.memory: limit: a whole number of bytes expected (0 for none), got %s",
               bind_word(L, -1));
  env->memory.limit = (size_t)lua_tointeger(L, -1);
}

/***
Bytes held by this state's tensors.
@function memory
@tparam[opt] table options `limit`: an allocation past this many live bytes is an error (0: no limit)
@treturn table `live` (in use), `peak`, `cached` (kept for reuse), `mapped` (files), `limit`, and `system_calls`: the
number of allocations from the system
@usage print(gpt.memory().live)
gpt.memory { limit = 8 << 30 }   -- 8 GiB
*/
static int memory(lua_State *L) {
  GptEnv *env = bind_env(L);
  if (!lua_isnoneornil(L, 1)) set_limit(L, env);
  lua_createtable(L, 0, 6);
  set_bytes(L, "live", env->memory.live);
  set_bytes(L, "peak", env->memory.peak);
  set_bytes(L, "cached", env->memory.cached);
  set_bytes(L, "mapped", env->memory.mapped);
  set_bytes(L, "limit", env->memory.limit);
  set_bytes(L, "system_calls", (size_t)env->memory.system_calls);
  bind_printed(L);
  return 1;
}

/***
Returns memory that is kept for reuse to the system.
@function trim
@usage gpt.trim()
*/
static int trim(lua_State *L) {
  gpt_trim(bind_env(L));
  return 0;
}

/* _limits(root): what the process may use, the bytes of memory and the processors, where /proc and /sys lie below that
 * directory; nil without a limit. */
static int limits(lua_State *L) {
  const char *root = bind_check_string(L, 1);
  size_t left = gpt_memory_left_below(root);
  int processors = gpt_cgroup_processors_below(root);
  if (left != SIZE_MAX) lua_pushinteger(L, (lua_Integer)left);
  else lua_pushnil(L);
  if (processors > 0) lua_pushinteger(L, processors);
  else lua_pushnil(L);
  return 2;
}

/* _need_memory(bytes): raises where so many are more than the limit, the machine or its cgroup has left. */
static int need_memory(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_Integer bytes = bind_check_integer(L, 1);
  if (!(bytes >= 0)) bind_argument_error(L, 1, "a number of bytes expected");
  return gpt_memory_fits(env, (size_t)bytes) ? 0 : bind_raise(L, env);
}

/* _memory_faults(at, stays): for specs, see GptMemoryFaults; _memory_faults() ends it. Returns the requests so far. */
static int memory_faults(lua_State *L) {
  GptMemoryFaults *faults = &bind_env(L)->memory.faults;
  int64_t requests = faults->requests;
  *faults = (GptMemoryFaults){.at = bind_opt_integer(L, 1, 0), .stays = lua_toboolean(L, 2)};
  lua_pushinteger(L, requests);
  return 1;
}

static const luaL_Reg functions[] = {
    {"_memory_faults", memory_faults}, {"memory", memory}, {"trim", trim}, {"_limits", limits}, {"_need_memory", need_memory}, {NULL, NULL}};

void bind_open_memory(lua_State *L) { bind_functions(L, functions); }
