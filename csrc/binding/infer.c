/* Running a function of the user's as the generating loop needs it: nothing records, and nothing drops. */
#include "core/forward.h"

#include "binding/binding.h"

/* _infer(fn, ...): calls a function or layer inside a pass that is not training, whatever mode its layers are in, and
   answers what it answers. Its error is passed on as it is. It must not yield. */
static int infer(lua_State *L) {
  GptEnv *env = bind_env(L);
  luaL_checkany(L, 1);
  GptForward pass = {.training = false, .random = &env->random}, *outer = env->forward;
  bool recording = env->recording;
  env->forward = &pass;
  env->recording = false;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  env->forward = outer;
  env->recording = recording;
  env->host = L;
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L);
}

static const luaL_Reg functions[] = {{"_infer", infer}, {NULL, NULL}};

void bind_open_infer(lua_State *L) { bind_functions(L, functions); }
