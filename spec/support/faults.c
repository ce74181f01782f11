/*
 * faults: a Lua module for specs, which lets what a program asks of the system fail at a moment of their choice.
 *
 * Lua's own memory is refused by an allocator of ours. What other libraries ask of malloc is refused only where this file
 * is preloaded (LD_PRELOAD): its malloc then stands before the system's. Under a sanitizer it has none.
 */
#include <dirent.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORTED __attribute__((visibility("default")))
#define EVERY_STEP (LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT)

/* Requests, one of which fails. */
typedef struct Refusal {
  lua_Integer at;       /* the one that fails, from 1 */
  bool stays;           /* and all behind it */
  bool again;           /* and the next one: Lua tries once more, after a collection */
  lua_Integer requests; /* so far */
  bool refused;         /* any was */
} Refusal;

static bool is_refused(Refusal *refusal) {
  lua_Integer number = ++refusal->requests;
  bool refused = number == refusal->at || (number > refusal->at && refusal->stays) ||
                 (number == refusal->at + 1 && refusal->again);
  refusal->refused |= refused;
  return refused;
}

/* What malloc refuses to this thread; NULL: nothing. */
static _Thread_local Refusal *refusal_of_malloc __attribute__((tls_model("initial-exec")));

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static bool malloc_fails(void) {
  Refusal *refusal = refusal_of_malloc;
  if (refusal == NULL || !is_refused(refusal)) return false;
  errno = ENOMEM;
  return true;
}

EXPORTED void *malloc(size_t size) { return malloc_fails() ? NULL : __libc_malloc(size); }
EXPORTED void *calloc(size_t count, size_t size) { return malloc_fails() ? NULL : __libc_calloc(count, size); }
EXPORTED void *realloc(void *block, size_t size) {
  return size > 0 && malloc_fails() ? NULL : __libc_realloc(block, size);
}
EXPORTED void *aligned_alloc(size_t alignment, size_t size) {
  return malloc_fails() ? NULL : __libc_memalign(alignment, size);
}
EXPORTED int posix_memalign(void **block, size_t alignment, size_t size) {
  if (malloc_fails()) return ENOMEM;
  void *made = __libc_memalign(alignment, size);
  if (made == NULL) return ENOMEM;
  *block = made;
  return 0;
}
#endif

/* A state's allocator, before which ours stands. */
typedef struct Allocator {
  lua_Alloc function;
  void *data;
  Refusal *refusal; /* of Lua's requests; NULL: none */
} Allocator;

/* Lua's requests are not malloc's, which refuses what others ask for. */
static void *allocate(void *state, void *block, size_t before, size_t after) {
  Allocator *allocator = state;
  bool more = after > (block != NULL ? before : 0);
  if (more && allocator->refusal != NULL && is_refused(allocator->refusal)) return NULL;
  Refusal *of_malloc = refusal_of_malloc;
  refusal_of_malloc = NULL;
  void *made = allocator->function(allocator->data, block, before, after);
  refusal_of_malloc = of_malloc;
  return made;
}

/* Calls the function at 3 with what is behind it. Leaves whether it ended well, its value or error, whether anything was
   refused, and how many requests there were. */
static int call_refused(lua_State *L, bool of_lua) {
  Refusal refusal = {.at = luaL_checkinteger(L, 1), .stays = lua_toboolean(L, 2), .again = of_lua};
  Allocator allocator = {.refusal = of_lua ? &refusal : NULL};
  luaL_checkstack(L, LUA_MINSTACK, NULL);
  allocator.function = lua_getallocf(L, &allocator.data);
  lua_setallocf(L, allocate, &allocator);
  refusal_of_malloc = of_lua ? NULL : &refusal;
  int status = lua_pcall(L, lua_gettop(L) - 3, 1, 0);
  refusal_of_malloc = NULL;
  lua_setallocf(L, allocator.function, allocator.data);
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, -2);
  lua_pushboolean(L, refusal.refused);
  lua_pushinteger(L, refusal.requests);
  return 4;
}

/* lua_memory(n, stays, f, ...): f while Lua's n-th request for more memory is refused, and all behind it if wanted. */
static int lua_memory(lua_State *L) { return call_refused(L, true); }

/* system_memory(n, stays, f, ...): the same for malloc's requests that are not Lua's. */
static int system_memory(lua_State *L) { return call_refused(L, false); }

/* preloaded(): does our malloc stand before the system's? */
static int preloaded(lua_State *L) {
  char *(*volatile copy)(const char *) = strdup; /* one that no compiler leaves out */
  Refusal refusal = {.at = 0};
  refusal_of_malloc = &refusal;
  free(copy("the library's own request"));
  refusal_of_malloc = NULL;
  lua_pushboolean(L, refusal.requests > 0);
  return 1;
}

/* Steps of Lua, at one of which an interrupt comes. */
static _Thread_local struct Steps {
  lua_Integer at, seen;
} steps;

/* As lua5.4 makes Ctrl-C an error. */
static void count_step(lua_State *L, lua_Debug *step) {
  (void)step;
  if (++steps.seen != steps.at) return;
  lua_sethook(L, NULL, 0, 0);
  luaL_error(L, "interrupted!");
}

/* interrupted(n, f, ...): f with an interrupt at the n-th step (call, return, line or instruction). Returns whether it
   ended well, its value or error, whether the interrupt came, and how many steps there were. */
static int interrupted(lua_State *L) {
  steps.at = luaL_checkinteger(L, 1);
  steps.seen = 0;
  lua_sethook(L, count_step, EVERY_STEP, 1);
  int status = lua_pcall(L, lua_gettop(L) - 2, 1, 0);
  lua_sethook(L, NULL, 0, 0);
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, -2);
  lua_pushboolean(L, steps.at > 0 && steps.seen >= steps.at);
  lua_pushinteger(L, steps.seen);
  return 4;
}

/* killed(microseconds, f): f in a fork of the process, which is killed after that time. Returns whether it was killed: a
   fork that ends by itself was not. */
static int killed(lua_State *L) {
  int status = 0;
  lua_Integer time = luaL_checkinteger(L, 1);
  pid_t child = fork();
  if (child < 0) return luaL_error(L, "no fork");
  if (child == 0) {
    alarm(60);
    _exit(lua_pcall(L, 0, 0, 0) == LUA_OK ? EXIT_SUCCESS : EXIT_FAILURE);
  }
  nanosleep(&(struct timespec){.tv_sec = time / 1000000, .tv_nsec = time % 1000000 * 1000}, NULL);
  kill(child, SIGKILL);
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  lua_pushboolean(L, WIFSIGNALED(status));
  return 1;
}

/* open_files(): how many descriptors the process has. */
static int open_files(lua_State *L) {
  lua_Integer count = 0;
  DIR *all = opendir("/proc/self/fd");
  while (all != NULL && readdir(all) != NULL) count++;
  if (all != NULL) closedir(all);
  lua_pushinteger(L, count);
  return 1;
}

EXPORTED int luaopen_faults(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"lua_memory", lua_memory},   {"system_memory", system_memory}, {"preloaded", preloaded},
      {"interrupted", interrupted}, {"killed", killed},               {"open_files", open_files},
      {NULL, NULL},
  };
  luaL_newlib(L, functions);
  return 1;
}
