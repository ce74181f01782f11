/* Calls of Lua in the middle of the core's: whatever fails in them, the core's frames below are returned through. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "binding/binding.h"

#define ENV_ERROR 1 /* user value of the environment's userdata: the error of the last protected call */

/* Does the byte at `end` stand in a quotation, "..." with \" for a quote, or '...'? Apostrophes begin none. */
static bool is_quoted(const char *text, const char *end) {
  char open = '\0';
  for (const char *at = text; at < end; at++) {
    if (open == '\0') {
      if (*at == '"' || (*at == '\'' && (at == text || !isalnum((unsigned char)at[-1])))) open = *at;
    } else if (open == '"' && *at == '\\') {
      at++;
    } else if (*at == open && (open == '"' || !isalnum((unsigned char)at[1]))) {
      open = '\0';
    }
  }
  return open != '\0';
}

/* Does the text give the reason, at its beginning or behind a colon? What a message quotes, of a file or a user, is none. */
static bool gives_reason(const char *text, const char *reason) {
  size_t length = strlen(reason);
  for (const char *at = strstr(text, reason); at != NULL; at = strstr(at + 1, reason)) {
    bool begins = at == text || (at - text >= 2 && at[-2] == ':' && at[-1] == ' ');
    if (begins && !isalnum((unsigned char)at[length]) && !is_quoted(text, at)) return true;
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

/* Are the first n bytes nothing, or what luaL_where puts before a message, "file.lua:12: "? Behind any other words there
   may stand a stranger's, as in "unknown role: interrupted!". */
static bool is_position(const char *text, size_t n) {
  size_t digits = n >= 2 ? n - 2 : 0;
  if (n == 0) return true;
  if (n > LUA_IDSIZE + 16 || memcmp(text + digits, ": ", 2) != 0) return false;
  while (digits > 0 && isdigit((unsigned char)text[digits - 1])) digits--;
  if (digits == 0 || digits == n - 2 || text[digits - 1] != ':') return false;
  return strncmp(text, "[string ", 8) == 0 || memmem(text, digits, ": ", 2) == NULL;
}

/* lua5.4's interrupt is a message at a position, a host's has none; a traceback may follow. */
static bool says_interrupt(const char *text) {
  static const char interrupt[] = "interrupted!";
  const char *at = strstr(text, interrupt);
  if (at == NULL || !is_position(text, (size_t)(at - text))) return false;
  at += sizeof interrupt - 1;
  return *at == '\0' || strncmp(at, "\nstack traceback:", 17) == 0;
}

/* The text that an error is, which stays as it is on the stack; "" where it is none. */
static const char *text_of(lua_State *L, int index) {
  return lua_type(L, index) == LUA_TSTRING ? lua_tostring(L, index) : "";
}

static char last_interrupt; /* registry: the latest interrupt that a layer's path was put before */

void bind_note_interrupt(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &last_interrupt);
}

bool bind_is_interrupt(lua_State *L, int index) {
  index = lua_absindex(L, index);
  if (says_interrupt(text_of(L, index))) return true;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &last_interrupt);
  bool same = lua_type(L, -1) == LUA_TSTRING && lua_rawequal(L, -1, index) != 0;
  lua_pop(L, 1);
  return same;
}

/* Is the error at index one of the moment, an interrupt, too little memory, a system that cannot read? Those say nothing of
 * what was looked at. */
static bool is_passing_error(lua_State *L, int index) {
  return bind_is_interrupt(L, index) || names_passing_reason(text_of(L, index));
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

int bind_call_with(lua_State *L, bool *flag, bool value) {
  const bool before = *flag;
  *flag = value;
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  *flag = before;
  bind_env(L)->host = L;
  return status == LUA_OK ? lua_gettop(L) : lua_error(L);
}

/* _is_passing(problem) */
static int is_passing(lua_State *L) {
  lua_pushboolean(L, is_passing_error(L, 1));
  return 1;
}

/* _is_interrupt(problem) */
static int is_interrupt_error(lua_State *L) {
  lua_pushboolean(L, bind_is_interrupt(L, 1));
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
