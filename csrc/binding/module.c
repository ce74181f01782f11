/* Opens the module: makes the state's environment and lets every subject add its functions. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <dlfcn.h>
#include <lualib.h>

#include "binding/binding.h"
#include "core/base/hints.h"
#include "core/base/printable.h"
#include "core/base/suggest.h"

#define ENV_TYPE "gpt.Env"
#define MOST_NAMES 1024

static void make_orphans(lua_State *L) {
  bind_push_weak(L, "k");
  lua_rawsetp(L, LUA_REGISTRYINDEX, &bind_orphans);
}

/* Finalizes what Lua does not, because it was made while the state was being closed. */
static void collect_orphans(lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &bind_orphans);
  lua_pushnil(L);
  while (lua_next(L, -2) != 0) {
    lua_pop(L, 1);
    if (luaL_getmetafield(L, -1, "__gc") == LUA_TNIL) continue;
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
  }
  lua_pop(L, 1);
}

/* Once it has run there is no environment: whatever asks for it raises. */
static int collect_env(lua_State *L) {
  BindEnv *box = lua_touserdata(L, 1);
  if (box->env != NULL) collect_orphans(L);
  gpt_env_free(box->env);
  box->env = NULL;
  return 0;
}

static void collect_garbage(void *host) {
  lua_State *L = host;
  if (L != NULL && lua_gc(L, LUA_GCISRUNNING)) lua_gc(L, LUA_GCCOLLECT);
}

/* The first thing in the state, so the last to be finalized. Whoever opens the module again gets the same one,
   because values made before live on. */
static void make_env(lua_State *L) {
  bool made = lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY) != LUA_TNIL;
  lua_pop(L, 1);
  if (made) return;
  if (lua_gc(L, LUA_GCISRUNNING) < 0) luaL_error(L, "gpt cannot be opened by a finalizer");
  make_orphans(L);
  BindEnv *box = lua_newuserdatauv(L, sizeof *box, 1); /* protect.c has its user value */
  *box = (BindEnv){.home = lua_topointer(L, LUA_REGISTRYINDEX)};
  luaL_newmetatable(L, ENV_TYPE);
  lua_pushcfunction(L, collect_env);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  box->env = gpt_env_new();
  if (box->env == NULL) luaL_error(L, "not enough memory to open gpt");
  box->env->host = L;
  box->env->on_pressure = collect_garbage;
  lua_setfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
}

/* _set_home(prefix): what the sources of the package's own Lua files begin with; errors point past them. */
static int set_home(lua_State *L) {
  bind_check_string(L, 1);
  lua_settop(L, 1);
  lua_setfield(L, LUA_REGISTRYINDEX, "gpt.home");
  return 0;
}

/* _raise(message): an error at the user's line, for the package's Lua files. */
static int raise_message(lua_State *L) { return bind_error(L, "%s", bind_check_string(L, 1)); }

/* _printable(text, most): a text of anybody's as messages show it (printable.h), of at most so many bytes and as many as
   an error may have; up to its first NUL. */
static int push_printable(lua_State *L) {
  char shown[GPT_ERROR_SIZE];
  const char *text = bind_check_string(L, 1);
  lua_Integer most = bind_check_integer(L, 2), largest = (lua_Integer)sizeof shown - 1;
  if (most < 8) return bind_argument_error(L, 2, "at least 8 bytes expected");
  gpt_printable(shown, (size_t)(most < largest ? most : largest) + 1, text);
  lua_pushstring(L, shown);
  return 1;
}

/* The strings of the list at index, NULL behind them; the list keeps them. */
static size_t read_names(lua_State *L, int index, const char *names[MOST_NAMES + 1]) {
  size_t count = 0;
  bind_check_type(L, index, LUA_TTABLE);
  for (lua_Integer i = 1; count < MOST_NAMES && lua_rawgeti(L, index, i) == LUA_TSTRING; i++) {
    names[count++] = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  names[count] = NULL;
  return count;
}

static int push_near(lua_State *L, const char *(*near)(const char *, const char *const *, size_t)) {
  const char *names[MOST_NAMES + 1], *word = bind_check_string(L, 1);
  size_t count = read_names(L, 2, names);
  lua_pushstring(L, near(word, names, count)); /* nil for NULL */
  return 1;
}

/* _suggest(word, list): the near one of a list of strings, or nil. _suggest_typo: for a word that may be meant so. */
static int suggest(lua_State *L) { return push_near(L, gpt_suggest); }
static int suggest_typo(lua_State *L) { return push_near(L, gpt_suggest_typo); }

/* _hint(word, list): the end of a message about a word that is not in the list, or "": see gpt_hint. */
static int push_hint(lua_State *L) {
  char hint[GPT_HINT_SIZE];
  const char *names[MOST_NAMES + 1], *word = bind_check_string(L, 1);
  size_t count = read_names(L, 2, names);
  lua_pushstring(L, gpt_hint(word, names, count, hint));
  return 1;
}

/* _check_options(options, what, names): raises where the table has another key; `what` begins the message. */
static int check_options(lua_State *L) {
  const char *names[MOST_NAMES + 1], *what = bind_check_string(L, 2);
  bind_check_type(L, 1, LUA_TTABLE);
  read_names(L, 3, names);
  bind_check_options(L, 1, what, names);
  return 0;
}

/* _typename(value): what it is, as messages say it. */
static int typename(lua_State *L) {
  bind_check_any(L, 1);
  lua_pushstring(L, bind_typename(L, 1));
  return 1;
}

/* _methods(type): the table of a type's methods; nil where there is no such type. */
static int methods(lua_State *L) {
  bool known = luaL_getmetatable(L, bind_check_string(L, 1)) == LUA_TTABLE;
  lua_pop(L, 1);
  if (known) bind_push_methods(L, lua_tostring(L, 1));
  else lua_pushnil(L);
  return 1;
}

static const luaL_Reg functions[] = {
    {"_methods", methods}, {"_set_home", set_home}, {"_raise", raise_message}, {"_suggest", suggest},
    {"_suggest_typo", suggest_typo}, {"_hint", push_hint}, {"_check_options", check_options},
    {"_typename", typename}, {"_printable", push_printable}, {NULL, NULL}};

/* lua_close unloads C modules, and threads or BLAS state left behind would crash: stay for good. */
static void pin_module(void) {
  Dl_info info;
  if (dladdr(functions, &info) != 0 && info.dli_fname != NULL)
    dlopen(info.dli_fname, RTLD_LAZY | RTLD_NODELETE | RTLD_NOLOAD);
}

__attribute__((visibility("default"))) int luaopen_gpt_core(lua_State *L);

int luaopen_gpt_core(lua_State *L) {
  luaL_checkversion(L);
  pin_module();
  make_env(L);
  lua_newtable(L);
  bind_functions(L, functions);
  luaL_newmetatable(L, "gpt.Printed");
  lua_setfield(L, -2, "_printed");
  bind_open_protect(L);
  bind_open_memory(L);
  bind_open_parallel(L);
  bind_open_random(L);
  bind_open_json(L);
  bind_open_tensor_list(L);
  bind_open_text(L);
  bind_open_numbers(L);
  bind_open_tensor(L);
  bind_open_dtypes(L);
  bind_open_sample(L);
  bind_open_grammar(L);
  bind_open_files(L);
  bind_open_new_files(L);
  bind_open_gguf(L);
  bind_open_tokenizer(L);
  bind_open_tokens(L);
  bind_open_terminal(L);
  bind_open_signals(L);
  bind_open_interrupt(L);
  bind_open_layer(L);
  bind_open_parameters(L);
  bind_open_layer_methods(L);
  bind_open_layer_fields(L);
  bind_open_pass(L);
  bind_open_attention(L);
  bind_open_config(L);
  bind_open_rotary(L);
  bind_open_layer_host(L);
  bind_open_nn(L);
  bind_open_lora(L);
  bind_open_model(L);
  bind_open_session(L);
  bind_open_infer(L);
  bind_open_trace(L);
  bind_open_hooks(L);
  bind_open_optimizer(L);
  bind_open_world(L);
  bind_open_reducer(L);
  return 1;
}
