/* How products are computed: gpt.set_threads, gpt.threads, gpt.set_precision, gpt.precision. */
#include "core/base/parallel.h"
#include "core/kernels/kernels.h"

#include <limits.h>
#include <string.h>

#include "binding/binding.h"

/***
Sets how many threads compute, the calling one included. It applies to the whole process, from the next operation on;
results do not depend on it.
@function set_threads
@tparam[opt=0] integer n 0 or nil: as many as the process may use (its processor affinity and its cgroup's quota)
@usage gpt.set_threads(2)
*/
static int set_threads(lua_State *L) {
  lua_Integer n = 0;
  if (!lua_isnoneornil(L, 1)) {
    if (!bind_is_whole(L, 1) || lua_tointeger(L, 1) < 0)
      return bind_error(L, "gpt.set_threads: a number of threads expected (0 or nil for the default), got %s",
                        bind_shown(L, 1));
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

/***
Sets the precision of products of many rows: prompts, and in training the forward pass and the gradients of inputs and
weights. With "bf16", processors with bf16 products (AVX-512 or ARM with BF16) round both sides to bf16 (8 bits of
precision instead of 24) and take half the time; sums, weights, gradients and the optimizer stay f32. Other processors
use f32. It applies to this Lua state, from the next operation on.
@function set_precision
@tparam string precision "f32", the default, or "bf16"
@usage gpt.set_precision "bf16"
*/
static int set_precision(lua_State *L) {
  const char *name = lua_tostring(L, 1);
  const bool bf16 = name != NULL && strcmp(name, "bf16") == 0;
  if (!bf16 && (name == NULL || strcmp(name, "f32") != 0))
    return bind_error(L, "gpt.set_precision: \"f32\" or \"bf16\" expected, got %s", bind_word(L, 1));
  bind_env(L)->bf16_products = bf16;
  return 0;
}

/***
The precision of products of many rows.
@function precision
@treturn string "f32" or "bf16"
@usage print(gpt.precision())
*/
static int precision(lua_State *L) {
  lua_pushstring(L, bind_env(L)->bf16_products ? "bf16" : "f32");
  return 1;
}

/* _kernels(): the name of the set of kernels that computes. */
static int kernels(lua_State *L) {
  lua_pushstring(L, gpt_kernels()->name);
  return 1;
}

static const luaL_Reg functions[] = {{"_kernels", kernels},
                                     {"set_threads", set_threads},
                                     {"threads", threads},
                                     {"set_precision", set_precision},
                                     {"precision", precision},
                                     {NULL, NULL}};

void bind_open_parallel(lua_State *L) { bind_functions(L, functions); }
