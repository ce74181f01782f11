/* What a progress bar asks the system: the time, and whether a file is a terminal. */
#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "binding/binding.h"

#define USUAL_WIDTH 80

/* _now(): seconds of a clock that never goes back. */
static int now(lua_State *L) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  lua_pushnumber(L, (lua_Number)time.tv_sec + 1e-9 * (lua_Number)time.tv_nsec);
  return 1;
}

/* _terminal_width(file): columns of the terminal that the file is, nil where it is none. */
static int terminal_width(lua_State *L) {
  const luaL_Stream *stream = bind_check_userdata(L, 1, LUA_FILEHANDLE);
  struct winsize size = {0};
  int descriptor = stream->closef != NULL ? fileno(stream->f) : -1;
  if (descriptor < 0 || !isatty(descriptor)) return luaL_pushfail(L), 1;
  bool known = ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  lua_pushinteger(L, known ? size.ws_col : USUAL_WIDTH);
  return 1;
}

static const luaL_Reg functions[] = {{"_now", now}, {"_terminal_width", terminal_width}, {NULL, NULL}};

void bind_open_terminal(lua_State *L) { bind_functions(L, functions); }
