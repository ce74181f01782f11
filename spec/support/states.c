/*
 * states FILE...: runs each Lua file in a state and a thread of its own, all at once. Fails where one fails.
 * in_child(f), which the scripts have beside Lua's functions, calls f in a fork of the process and returns whether that
 * ended well.
 */
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
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

/* Returns NULL where the script ended well. */
static void *run(void *file) {
  lua_State *L = luaL_newstate();
  if (L == NULL) return file;
  luaL_openlibs(L);
  lua_register(L, "in_child", in_child);
  int status = luaL_dofile(L, file);
  if (status != LUA_OK) fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
  lua_close(L);
  return status == LUA_OK ? NULL : file;
}

int main(int count, char **files) {
  pthread_t threads[MOST];
  void *failed = NULL;
  if (count > MOST) return EXIT_FAILURE;
  for (int i = 1; i < count; i++)
    if (pthread_create(&threads[i], NULL, run, files[i]) != 0) return EXIT_FAILURE;
  for (int i = 1; i < count; i++) {
    void *result;
    if (pthread_join(threads[i], &result) != 0 || result != NULL) failed = files[i];
  }
  return failed == NULL ? EXIT_SUCCESS : EXIT_FAILURE;
}
