/*
 * states FILE...: runs each Lua file in a state and a thread of its own, all at once. Fails where one fails.
 * What the scripts have beside Lua's functions:
 *
 *   state                the number of one's own, from 1
 *   meet()               waits until every state has called it, and raises where one ended before
 *   in_child(f)          calls f in a fork of the process and returns whether that ended well
 *   room(bytes)          Lua's requests for more memory than so many bytes fail from now on; without bytes none does
 *   beside(code, bytes)  starts code in one more state and thread, which has room for so many bytes from its beginning.
 *                        Returns a function that waits until that state is closed, and returns its error or nothing
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define MOST 16

/* What a state may hold. */
typedef struct Memory {
  size_t used, limit;
} Memory;

static void *allocate(void *data, void *block, size_t before, size_t after) {
  Memory *memory = data;
  if (block == NULL) before = 0; /* it is a type then */
  if (after > before && after - before > memory->limit - memory->used) return NULL;
  void *made = NULL;
  if (after == 0) free(block);
  else if ((made = realloc(block, after)) == NULL) return NULL;
  memory->used += after - before;
  return made;
}

static int room(lua_State *L) {
  void *data;
  lua_getallocf(L, &data);
  Memory *memory = data;
  memory->limit = lua_isnoneornil(L, 1) ? SIZE_MAX : memory->used + (size_t)luaL_checkinteger(L, 1);
  return 0;
}

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

static int beside(lua_State *L);

static void open_libraries(lua_State *L) {
  static const luaL_Reg functions[] = {
    {"in_child", in_child}, {"meet", meet}, {"room", room}, {"beside", beside}, {NULL, NULL}};
  luaL_openlibs(L);
  lua_pushglobaltable(L);
  luaL_setfuncs(L, functions, 0);
  lua_pop(L, 1);
}

/* Code that runs in a state and a thread of its own. */
typedef struct Beside {
  pthread_t thread;
  bool started, joined;
  const char *code; /* the starting state's, which keeps it */
  size_t size;
  Memory memory;
  char problem[1000]; /* its error; "": none */
} Beside;

/* All that may raise for want of memory: outside of a protected call that would end the process. */
static int run_code(lua_State *L) {
  Beside *work = lua_touserdata(L, 1);
  open_libraries(L);
  if (luaL_loadbuffer(L, work->code, work->size, "=beside") != LUA_OK) return lua_error(L);
  lua_call(L, 0, 0);
  return 0;
}

static void *run_beside(void *argument) {
  Beside *work = argument;
  lua_State *L = lua_newstate(allocate, &work->memory);
  const char *problem = "not enough memory";
  if (L != NULL) {
    lua_pushcfunction(L, run_code);
    lua_pushlightuserdata(L, work);
    if (lua_pcall(L, 1, 0, 0) == LUA_OK) problem = "";
    else problem = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "an error that is no text";
  }
  snprintf(work->problem, sizeof work->problem, "%s", problem);
  if (L != NULL) lua_close(L);
  return NULL;
}

static void wait_for(Beside *work) {
  if (work->started && !work->joined) pthread_join(work->thread, NULL);
  work->joined = true;
}

static int collect(lua_State *L) {
  wait_for(lua_touserdata(L, 1));
  return 0;
}

static int join(lua_State *L) {
  Beside *work = lua_touserdata(L, lua_upvalueindex(1));
  wait_for(work);
  if (work->problem[0] == '\0') return 0;
  lua_pushstring(L, work->problem);
  return 1;
}

static int beside(lua_State *L) {
  size_t size;
  const char *code = luaL_checklstring(L, 1, &size);
  size_t limit = lua_isnoneornil(L, 2) ? SIZE_MAX : (size_t)luaL_checkinteger(L, 2);
  Beside *work = lua_newuserdatauv(L, sizeof *work, 1);
  *work = (Beside){.code = code, .size = size, .memory = {.limit = limit}};
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, collect);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  lua_pushcclosure(L, join, 1);
  work->started = pthread_create(&work->thread, NULL, run_beside, work) == 0;
  return work->started ? 1 : luaL_error(L, "no thread");
}

/* A file to run, by a state of that number. */
typedef struct Script {
  const char *file;
  int number;
  Memory memory;
} Script;

/* Returns NULL where the script ended well. */
static void *run(void *argument) {
  Script *script = argument;
  lua_State *L = lua_newstate(allocate, &script->memory);
  if (L == NULL) return argument;
  open_libraries(L);
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
    scripts[i] = (Script){files[i], i, {.limit = SIZE_MAX}};
    if (pthread_create(&threads[i], NULL, run, &scripts[i]) != 0) return EXIT_FAILURE;
  }
  for (int i = 1; i < count; i++) {
    void *result;
    failed |= pthread_join(threads[i], &result) != 0 || result != NULL;
  }
  return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
