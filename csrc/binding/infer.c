/* Running a function of the user's as the generating loop needs it: nothing records, and nothing drops. */
#include "core/nn/pass.h"

#include "binding/binding.h"

/* _infer(fn, ...): calls a function or layer inside a pass that is not training, whatever mode its layers are in, and
   returns what it returns. Its error is passed on as it is. It must not yield. */
static int infer(lua_State *L) {
  GptEnv *env = bind_env(L);
  bind_check_any(L, 1);
  GptPass pass = gpt_pass(env, false), *outer = gpt_pass_enter(env, &pass);
  bool recording = env->recording;
  env->recording = false;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  env->pass = outer;
  env->recording = recording;
  env->host = L;
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L);
}

static const luaL_Reg functions[] = {{"_infer", infer}, {NULL, NULL}};

void bind_open_infer(lua_State *L) { bind_functions(L, functions); }
