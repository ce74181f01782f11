/* Targets that read by functions in Lua, in one state that is used for all inputs. */
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "binding/binding.h"
#include "core/base/parallel.h"
#include "fuzz.h"
#include "static/luagpt.h"

#define TABLE "spec/fuzz/targets.lua"
#define COUNT 10000
#define MOST_COUNTS 20000 /* of COUNT instructions of Lua's, for one input */
#define COUNTERS 65536
#define MOST_PARTS 16

/* libFuzzer takes what is counted here as coverage: here, steps from one line of Lua to another. */
__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t counters[COUNTERS];

static FuzzTarget target;
static const char *parts[MOST_PARTS + 1];
static lua_State *L;
static int run_index; /* registry: the target's function */
static int counts;

static uint32_t hash_line(const lua_Debug *ar) {
  uint32_t hash = 2166136261u;
  for (const char *at = ar->short_src; *at != '\0'; at++) hash = (hash ^ (uint8_t)*at) * 16777619u;
  return (hash ^ (uint32_t)ar->currentline) * 2654435761u >> 8;
}

/* The stack of the input that does not end, to stderr. */
static void show_traceback(lua_State *state) {
  luaL_traceback(state, state, NULL, 0);
  fprintf(stderr, "%s\n", lua_tostring(state, -1));
}

static void on_event(lua_State *state, lua_Debug *ar) {
  static uint32_t previous;
  if (ar->event == LUA_HOOKCOUNT) {
    if (++counts < MOST_COUNTS) return;
    show_traceback(state);
    fuzz_found("over %d instructions of Lua's", MOST_COUNTS * COUNT);
  }
  lua_getinfo(state, "Sl", ar);
  uint32_t line = hash_line(ar);
  counters[(line ^ previous) % COUNTERS]++;
  previous = line >> 1;
}

static void collect(void) {
  lua_gc(L, LUA_GCCOLLECT);
  lua_gc(L, LUA_GCCOLLECT); /* what finalizers let go of */
}

/* What a message of the package's does not have: a place in its files, and Lua's words for what broke it. */
static const char *const mistakes[] = {"lua/gpt/", "stack overflow", "attempt to ", NULL};

/* Are the words in a text, behind a blank or a folder? In the middle of what is quoted they are the input's own, which JSON
   may have in escapes. */
static bool says(const char *text, const char *words) {
  const char *at = strstr(text, words);
  while (at != NULL && at > text && at[-1] != ' ' && at[-1] != '/') at = strstr(at + 1, words);
  return at != NULL;
}

/* A mistake of the package's, unless the input itself has such words. */
static void check_mistakes(const char *message, const FuzzInput *input) {
  for (int i = 0; mistakes[i] != NULL; i++)
    if (says(message, mistakes[i]) && memmem(input->data, input->size, mistakes[i], strlen(mistakes[i])) == NULL)
      fuzz_found("an error inside the package: %s", message);
}

static void read_finding(void) {
  lua_getfield(L, -1, "found");
  const char *found = lua_tostring(L, -1);
  fuzz_found("%s", found != NULL ? found : "an error that is a table");
}

/* The message is left in env as the core's are. */
static bool take_error(GptEnv *env, const FuzzInput *input) {
  if (lua_istable(L, -1)) read_finding();
  const char *message = lua_tostring(L, -1);
  if (message == NULL) fuzz_found("an error that is a %s", luaL_typename(L, -1));
  check_mistakes(message, input);
  fuzz_check_message(message, input);
  if (strlen(message) >= GPT_ERROR_SIZE) fuzz_found("too long a message: %s", message);
  return gpt_fail(env, "%s", message);
}

static bool run(GptEnv *env, const FuzzInput *input) {
  lua_settop(L, 0);
  lua_rawgeti(L, LUA_REGISTRYINDEX, run_index);
  if (input->path != NULL) lua_pushstring(L, input->path);
  else lua_pushlstring(L, (const char *)input->data, input->size);
  counts = 0;
  lua_sethook(L, on_event, LUA_MASKLINE | LUA_MASKCOUNT, COUNT);
  bool good = lua_pcall(L, 1, 0, 0) == LUA_OK;
  lua_sethook(L, NULL, 0, 0);
  if (!good) good = take_error(env, input);
  lua_settop(L, 0);
  return good;
}

static void check(int status) {
  if (status == LUA_OK) return;
  fprintf(stderr, "fuzz: %s\n", lua_tostring(L, -1));
  exit(2);
}

/* Leaves the table of targets on the stack. */
static void open_state(void) {
  L = luaL_newstate();
  if (L == NULL) exit(2);
  luaL_openlibs(L);
  luaL_requiref(L, "gpt.core", luaopen_gpt_core, 0);
  check(luaL_dostring(L, "package.path = 'lua/?.lua;lua/?/init.lua;?.lua;' .. package.path"));
  gpt_threads_set(1);
  check(luaL_dofile(L, TABLE));
}

static void read_parts(void) {
  int count = 0;
  for (; count < MOST_PARTS && lua_rawgeti(L, -1, count + 1) == LUA_TSTRING; count++) {
    parts[count] = lua_tostring(L, -1); /* the table keeps it */
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  target.parts = parts;
}

/* The target's function, made with the directory that inputs are put into. */
static void make_run(void) {
  lua_getfield(L, -1, "make");
  lua_pushstring(L, fuzz_directory());
  check(lua_pcall(L, 1, 1, 0));
  run_index = luaL_ref(L, LUA_REGISTRYINDEX);
}

const FuzzTarget *fuzz_lua_target(const char *name, GptEnv **env) {
  open_state(); /* the table of targets stays on the stack: it keeps the names */
  if (lua_getfield(L, -1, name) != LUA_TTABLE) return NULL;
  target = (FuzzTarget){.name = name, .run = run};
  if (lua_getfield(L, -1, "file") == LUA_TSTRING) target.file = lua_tostring(L, -1);
  lua_pop(L, 1);
  if (lua_getfield(L, -1, "parts") == LUA_TTABLE) read_parts();
  lua_pop(L, 1);
  make_run();
  lua_setfield(L, LUA_REGISTRYINDEX, "fuzz.target");
  lua_getfield(L, LUA_REGISTRYINDEX, BIND_ENV_KEY);
  *env = *(GptEnv **)lua_touserdata(L, -1);
  lua_settop(L, 0);
  fuzz_collect = collect;
  return &target;
}

void fuzz_print_lua_targets(void) {
  open_state();
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) puts(lua_tostring(L, -2));
}
