/* gpt.seed and gpt.random_state. */
#include "core/random.h"

#include "binding/binding.h"

/***
Seeds the random numbers of this Lua state. From here on they are PyTorch's on a CPU after `torch.manual_seed(n)`.
A state that was never seeded begins as after `gpt.seed(0)`.
@function seed
@tparam integer n any whole number; PyTorch's generator uses its lower 32 bits
@usage gpt.seed(123)
print(gpt.rand(2))  --> 0.2961, 0.5166
*/
static int seed(lua_State *L) {
  GptEnv *env = bind_env(L);
  int whole = 0;
  lua_Integer n = lua_type(L, 1) == LUA_TNUMBER ? lua_tointegerx(L, 1, &whole) : 0;
  if (!whole) {
    const char *got = lua_type(L, 1) == LUA_TNUMBER ? luaL_tolstring(L, 1, NULL) : luaL_typename(L, 1);
    return luaL_argerror(L, 1, lua_pushfstring(L, "a whole number expected, got %s", got));
  }
  gpt_random_seed(&env->random, (uint64_t)n);
  return 0;
}

/***
The state of the random numbers as a string of some 5,000 characters, or back to such a state: what is drawn after it
comes again.
@function random_state
@tparam[opt] string state what an earlier call answered, in this process or another
@treturn string the state, where none was given
@usage local state = gpt.random_state()
local a = gpt.randn(3)
gpt.random_state(state)
local b = gpt.randn(3)  -- equal to a
*/
static int random_state(lua_State *L) {
  GptEnv *env = bind_env(L);
  if (!lua_isnone(L, 1)) {
    const char *text = luaL_checkstring(L, 1);
    if (!gpt_random_parse(&env->random, text))
      return luaL_argerror(L, 1, "not a random state; gpt.random_state() answers one");
    return 0;
  }
  char text[GPT_RANDOM_TEXT];
  gpt_random_print(&env->random, text);
  lua_pushstring(L, text);
  return 1;
}

static const luaL_Reg functions[] = {{"seed", seed}, {"random_state", random_state}, {NULL, NULL}};

void bind_open_random(lua_State *L) { bind_functions(L, functions); }
