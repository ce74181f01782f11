/* Calls of Lua in the middle of the core's: whatever fails in them, the core's frames below are returned through. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "binding/binding.h"

#define ENV_ERROR 1 /* user value of the environment's userdata: the error of the last protected call */

/* Does the text give the reason, at its beginning or behind a colon? What a message quotes, of a file or a user, is none. */
static bool gives_reason(const char *text, const char *reason) {
  size_t length = strlen(reason);
  for (const char *at = strstr(text, reason); at != NULL; at = strstr(at + 1, reason)) {
    bool begins = at == text || (at - text >= 2 && at[-2] == ':' && at[-1] == ' ');
    if (begins && !isalnum((unsigned char)at[length])) return true;
  }
  return false;
}

static bool is_out_of_memory(const char *text) {
  return gives_reason(text, "not enough memory") || gives_reason(text, strerror(ENOMEM));
}

/* Does the text give one of the reasons that pass, as the core or the system says it? */
static bool names_passing_reason(const char *text) {
  static const int reasons[] = {EIO, EMFILE, ENFILE, EINTR, EAGAIN, ESTALE, ETIMEDOUT};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (gives_reason(text, strerror(reasons[i]))) return true;
  return is_out_of_memory(text) || gives_reason(text, "it was cut short meanwhile") ||
         gives_reason(text, "another process has been");
}

/* lua5.4's interrupt is a message, which a traceback may follow. */
static bool is_interrupt(const char *text) {
  static const char interrupt[] = "interrupted!";
  const char *at = strstr(text, interrupt);
  return at != NULL && (at[sizeof interrupt - 1] == '\0' || at[sizeof interrupt - 1] == '\n');
}

/* The text that an error is, which stays as it is on the stack; "" where it is none. */
static const char *text_of(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
}

/* Is the error at index one of the moment, an interrupt, too little memory, a system that cannot read? Those say nothing of
 * what was looked at. */
static bool is_passing_error(lua_State *L, int index) {
  const char *text = text_of(L, index);
  return is_interrupt(text) || names_passing_reason(text);
}

/* A message handler: adds the traceback once, where the error happened. */
static int add_traceback(lua_State *L) {
  const char *message = lua_tostring(L, 1);
  if (message == NULL || strstr(message, "\nstack traceback:") != NULL) return 1;
  if (strstr(message, "attempt to yield across a C-call boundary") != NULL)
    message = lua_pushfstring(L, "%s: a layer's forward cannot yield, because the core runs it", message);
  luaL_traceback(L, L, message, 1);
  return 1;
}

/* Leaves the error on top of the stack in the environment. The name is interned since the module was opened, and a
   user value is a slot that is there: so nothing is allocated, and nothing can raise. */
static void keep_error(lua_State *L, GptEnv *env) {
  bool passing = is_passing_error(L, -1);
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_insert(L, -2);
  lua_setiuservalue(L, -2, ENV_ERROR);
  gpt_fail(env, "an error in Lua");
  env->host_error = true;
  env->passing = passing;
}

bool bind_protect(lua_State *L, GptEnv *env, lua_CFunction body, int values, int results, void *context) {
  struct GptPass *running = env->pass;
  int base = lua_gettop(L) - values;
  if (!lua_checkstack(L, 4)) {
    lua_settop(L, base);
    return gpt_fail(env, "layers are nested too deep for Lua's stack");
  }
  lua_pushcfunction(L, add_traceback);
  lua_insert(L, base + 1);
  lua_pushcfunction(L, body);
  lua_insert(L, base + 2);
  lua_pushlightuserdata(L, context);
  bool done = lua_pcall(L, values + 1, results, base + 1) == LUA_OK;
  env->pass = running;
  env->host = L;
  if (done) {
    lua_remove(L, base + 1);
    return true;
  }
  keep_error(L, env);
  lua_settop(L, base);
  return false;
}

/* _is_passing(problem) */
static int is_passing(lua_State *L) {
  lua_pushboolean(L, is_passing_error(L, 1));
  return 1;
}

/* _is_interrupt(problem) */
static int is_interrupt_error(lua_State *L) {
  lua_pushboolean(L, is_interrupt(text_of(L, 1)));
  return 1;
}

/* _is_memory_error(problem) */
static int is_memory_error(lua_State *L) {
  lua_pushboolean(L, is_out_of_memory(text_of(L, 1)));
  return 1;
}

void bind_open_protect(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"_is_passing", is_passing}, {"_is_interrupt", is_interrupt_error}, {"_is_memory_error", is_memory_error}, {NULL, NULL}};
  bind_functions(L, functions);
}

void bind_push_kept_error(lua_State *L) {
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  lua_getiuservalue(L, -1, ENV_ERROR);
  lua_pushnil(L);
  lua_setiuservalue(L, -3, ENV_ERROR);
  lua_remove(L, -2);
}
