/*
 * A program that embeds Lua, loads a model and writes what it generates, piece by piece:
 *
 *   make -C examples/hosts/program && examples/hosts/program/writer MODEL "Once upon a time"
 *
 * Every call of Lua that may fail is made inside pmain, which runs in protected mode.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>

#include "static/luagpt.h"

typedef struct Job {
  const char *model, *prompt;
} Job;

/* Pushes require "gpt". */
static void open_gpt(lua_State *L) {
  luaL_openlibs(L);
  gpt_preload(L);
  lua_getglobal(L, "require");
  lua_pushstring(L, "gpt");
  lua_call(L, 1, 1);
}

/* Pushes the model: gpt.load(name). */
static void load_model(lua_State *L, const char *name) {
  lua_getfield(L, -1, "load");
  lua_pushstring(L, name);
  lua_call(L, 1, 1);
}

/* Pushes what `for` loops over: model:stream(prompt, { max_new_tokens = 200, temperature = 0.8 }). */
static void begin_stream(lua_State *L, const char *prompt) {
  lua_getfield(L, -1, "stream");
  lua_pushvalue(L, -2);
  lua_pushstring(L, prompt);
  lua_newtable(L);
  lua_pushinteger(L, 200);
  lua_setfield(L, -2, "max_new_tokens");
  lua_pushnumber(L, 0.8);
  lua_setfield(L, -2, "temperature");
  lua_call(L, 3, 1);
}

/* One step: writes the next piece; false at the end. A host with a loop of its own would call this from there. */
static int write_piece(lua_State *L) {
  lua_pushvalue(L, -1);
  lua_call(L, 0, 1);
  const char *piece = lua_tostring(L, -1);
  if (piece != NULL) fputs(piece, stdout), fflush(stdout);
  lua_pop(L, 1);
  return piece != NULL;
}

static int pmain(lua_State *L) {
  const Job *job = lua_touserdata(L, 1);
  open_gpt(L);
  load_model(L, job->model);
  fputs(job->prompt, stdout);
  begin_stream(L, job->prompt);
  while (write_piece(L)) {}
  putchar('\n');
  return 0;
}

int main(int argc, char *argv[]) {
  if (argc != 3) {
    fprintf(stderr, "usage: %s MODEL PROMPT\n", argv[0]);
    return 2;
  }
  Job job = {argv[1], argv[2]};
  lua_State *L = luaL_newstate();
  if (L == NULL) return fputs("not enough memory for Lua\n", stderr), 1;
  lua_pushcfunction(L, pmain);
  lua_pushlightuserdata(L, &job);
  int status = lua_pcall(L, 1, 0, 0);
  if (status != LUA_OK) fprintf(stderr, "%s\n", lua_tostring(L, -1));
  lua_close(L);
  return status != LUA_OK;
}
