/*
 * states FILE...: runs each Lua file in a state and a thread of its own, all at once. Fails where one fails.
 * meet(), which the scripts have beside Lua's functions, waits until every state has called it, and raises where one
 * ended before; state is the number of one's own, from 1.
 * in_child(f) calls f in a fork of the process and returns whether that
 * ended well. short_of_memory(n, f, ...) calls f(...) while Lua's own allocator refuses the n-th request for more and all
 * behind it; returns whether f ended well, what it returned or raised (one value), whether a request was refused, and
 * how many there were.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 16

static int in_child(lua_State *L) {
  int status = 0;
  pid_t child = fork();
  if (child < 0) return luaL_error(L, "no fork");
  if (child == 0) {
    alarm(60);
    _exit(lua_pcall(L, 0, 0, 0) == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  waitpid(child, &status, 0);
  lua_pushboolean(L, status == 0);
  return 1;
}

/* A state's allocator, which can be told to fail. */
typedef struct Allocator {
  lua_Alloc function;
  void *data;
  lua_Integer left; /* requests for more that are met before the first that is not; negative: no end */
  int refused;
  lua_Integer requests;
} Allocator;

static void *allocate(void *state, void *block, size_t before, size_t after) {
  Allocator *allocator = state;
  bool more = after > (block != NULL ? before : 0);
  if (more) allocator->requests++;
  if (more && allocator->left >= 0) {
    if (allocator->left == 0) {
      allocator->refused = 1;
      return NULL;
    }
    allocator->left--;
  }
  return allocator->function(allocator->data, block, before, after);
}

static int short_of_memory(lua_State *L) {
  void *state;
  lua_getallocf(L, &state);
  Allocator *allocator = state;
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  lua_remove(L, 1);
  allocator->refused = 0;
  allocator->requests = 0;
  allocator->left = n - 1;
  int status = lua_pcall(L, lua_gettop(L) - 1, 1, 0);
  allocator->left = -1;
  lua_Integer requests = allocator->requests;
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, 1);
  lua_pushboolean(L, allocator->refused);
  lua_pushinteger(L, requests);
  return 4;
}

/* Where states wait for each other: `arrived` of `states` are there; `round` counts the meetings. */
static struct {
  pthread_mutex_t lock;
  pthread_cond_t all_there;
  int states, arrived, round, ended;
} meeting = {.lock = PTHREAD_MUTEX_INITIALIZER, .all_there = PTHREAD_COND_INITIALIZER};

static int meet(lua_State *L) {
  pthread_mutex_lock(&meeting.lock);
  int round = meeting.round;
  if (++meeting.arrived == meeting.states) {
    meeting.arrived = 0;
    meeting.round++;
    pthread_cond_broadcast(&meeting.all_there);
  }
  while (meeting.round == round && meeting.ended == 0) pthread_cond_wait(&meeting.all_there, &meeting.lock);
  int met = meeting.round != round;
  pthread_mutex_unlock(&meeting.lock);
  return met ? 0 : luaL_error(L, "a state ended before all had met");
}

static void end_meetings(void) {
  pthread_mutex_lock(&meeting.lock);
  meeting.ended++;
  pthread_cond_broadcast(&meeting.all_there);
  pthread_mutex_unlock(&meeting.lock);
}

/* A file to run, by a state of that number. */
typedef struct Script {
  const char *file;
  int number;
} Script;

/* Returns NULL where the script ended well. */
static void *run(void *argument) {
  Script *script = argument;
  lua_State *L = luaL_newstate();
  Allocator allocator = {.left = -1};
  if (L == NULL) return argument;
  allocator.function = lua_getallocf(L, &allocator.data);
  lua_setallocf(L, allocate, &allocator);
  luaL_openlibs(L);
  lua_register(L, "short_of_memory", short_of_memory);
  lua_register(L, "in_child", in_child);
  lua_register(L, "meet", meet);
  lua_pushinteger(L, script->number);
  lua_setglobal(L, "state");
  int status = luaL_dofile(L, script->file);
  end_meetings();
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? NULL : argument;
}

int main(int count, char **files) {
  pthread_t threads[MOST];
  Script scripts[MOST];
  bool failed = false;
  if (count > MOST) return EXIT_FAILURE;
  meeting.states = count - 1;
  for (int i = 1; i < count; i++) {
    scripts[i] = (Script){files[i], i};
    if (pthread_create(&threads[i], NULL, run, &scripts[i]) != 0) return EXIT_FAILURE;
  }
  for (int i = 1; i < count; i++) {
    void *result;
    failed |= pthread_join(threads[i], &result) != 0 || result != NULL;
  }
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
