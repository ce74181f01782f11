/*
 * states FILE...: runs each Lua file in a state and a thread of its own, all at once. Fails where one fails.
 * meet(), which the scripts have beside Lua's functions, waits until every state has called it, and raises where one
 * ended before; state is the number of one's own, from 1. in_child(f) calls f in a fork of the process and returns whether
 * that ended well.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
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
  if (L == NULL) return argument;
  luaL_openlibs(L);
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
