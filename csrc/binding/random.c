/* gpt.seed, and what gpt.random_state stands on. */
#include "core/base/random.h"

#include "binding/binding.h"

/***
Seeds the random numbers of this Lua state: they are then PyTorch's on a CPU after `torch.manual_seed(n)`. A state that
was never seeded begins as after `gpt.seed(0)`.
@function seed
@tparam integer n any whole number; PyTorch's generator uses its lower 32 bits
@usage gpt.seed(123)
print(gpt.rand(2))  --> 0.2961, 0.5166
*/
static int seed(lua_State *L) {
  GptEnv *env = bind_env(L);
  int whole = 0;
  lua_Integer n = lua_type(L, 1) == LUA_TNUMBER ? lua_tointegerx(L, 1, &whole) : 0;
  if (!whole) return bind_argument_error(L, 1, lua_pushfstring(L, "a whole number expected, got %s", bind_shown(L, 1)));
  gpt_random_seed(&env->random, (uint64_t)n);
  return 0;
}

/* _random_state(): the state as a string. _random_state(string): back to it; false where it is none. */
static int random_state(lua_State *L) {
  GptEnv *env = bind_env(L);
  if (!lua_isnone(L, 1)) {
    lua_pushboolean(L, gpt_random_parse(&env->random, bind_check_string(L, 1)));
    return 1;
  }
  char text[GPT_RANDOM_TEXT];
  gpt_random_print(&env->random, text);
  lua_pushstring(L, text);
  return 1;
}

/* _undrawn(fn, ...): calls a function that makes layers whose weights are left as they are, to be set before use, and
   returns what it returns; its error is passed on as it is. */
static int undrawn(lua_State *L) {
  bind_check_any(L, 1);
  return bind_call_with(L, &bind_env(L)->undrawn, true);
}

static const luaL_Reg functions[] = {
    {"seed", seed}, {"_random_state", random_state}, {"_undrawn", undrawn}, {NULL, NULL}};

void bind_open_random(lua_State *L) { bind_functions(L, functions); }
