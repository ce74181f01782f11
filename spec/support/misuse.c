/*
 * misuse: a Lua module for specs, which does what no host may do with the values and the states of others.
 *
 *   copy(value)           a userdata of the same state with the value's type and bytes
 *   copied(value, code)   the same in a state of its own, where code is called with it
 *   moved(value, code)    the value itself, moved into such a state by lua_xmove
 *   in_thread(f)          f in another thread, in a coroutine, while this thread waits
 *
 * The last three return whether that went well, and its value or error as a text.
 */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <pthread.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

/* Pushes it to `to`. */
static void push_copy(lua_State *from, lua_State *to) {
  size_t size = lua_rawlen(from, 1);
  luaL_getmetafield(from, 1, "__name");
  const char *type = lua_tostring(from, -1); /* the metatable keeps it */
  lua_pop(from, 1);
  memcpy(lua_newuserdatauv(to, size, 2), lua_touserdata(from, 1), size);
  luaL_setmetatable(to, type);
}

static int copy(lua_State *L) {
  luaL_checktype(L, 1, LUA_TUSERDATA);
  push_copy(L, L);
  return 1;
}

/* A state that has opened gpt, with the code's function on its stack. */
static lua_State *new_state(lua_State *L) {
  lua_State *other = luaL_newstate();
  if (other == NULL) luaL_error(L, "no state");
  luaL_openlibs(other);
  if (luaL_dostring(other, "gpt = require 'gpt'") || luaL_loadstring(other, luaL_checkstring(L, 2)))
    luaL_error(L, "%s", lua_tostring(other, -1));
  return other;
}

/* Calls what is on the other stack with one argument, pushes what came of it, and closes the state. */
static int call_there(lua_State *L, lua_State *other) {
  lua_pushboolean(L, lua_pcall(other, 1, 1, 0) == LUA_OK);
  lua_pushstring(L, luaL_tolstring(other, -1, NULL));
  lua_close(other);
  return 2;
}

static int copied(lua_State *L) {
  lua_State *other = new_state(L);
  push_copy(L, other);
  return call_there(L, other);
}

/* No collector must see it there. */
static int moved(lua_State *L) {
  lua_State *other = new_state(L);
  lua_gc(L, LUA_GCSTOP);
  lua_gc(other, LUA_GCSTOP);
  lua_pushvalue(L, 1);
  lua_xmove(L, other, 1);
  call_there(L, other);
  lua_gc(L, LUA_GCRESTART);
  return 2;
}

static void *run(void *thread) {
  lua_State *L = thread;
  lua_pushboolean(L, lua_pcall(L, 0, 1, 0) == LUA_OK);
  return NULL;
}

static int in_thread(lua_State *L) {
  pthread_t thread;
  lua_State *coroutine = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, coroutine, 1);
  if (pthread_create(&thread, NULL, run, coroutine) != 0) return luaL_error(L, "no thread");
  pthread_join(thread, NULL);
  lua_pushboolean(L, lua_toboolean(coroutine, -1));
  lua_pushstring(L, luaL_tolstring(coroutine, -2, NULL));
  return 2;
}

EXPORTED int luaopen_misuse(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"copy", copy}, {"copied", copied}, {"moved", moved}, {"in_thread", in_thread}, {NULL, NULL}};
  luaL_newlib(L, functions);
  return 1;
}
