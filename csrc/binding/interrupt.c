/* gpt.interruptible: Ctrl-C as an error, every time. lua5.4 alone makes it one only once: its handler leaves the next
   Ctrl-C to end the process. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#include "binding/binding.h"

#define EVERY_STEP (LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT)

/* The thread of the call under way in this process, which the handler interrupts; NULL where there is none. */
static _Atomic(lua_State *) interrupted;

typedef struct Hook {
  lua_Hook function;
  int mask, count;
} Hook;

/* Runs as a hook, at the next step of Lua. */
static void raise_interrupt(lua_State *L, lua_Debug *step) {
  (void)step;
  lua_sethook(L, NULL, 0, 0);
  lua_pushliteral(L, "interrupted!");
  lua_error(L);
}

/* lua_sethook is what a signal handler may call. */
static void on_interrupt(int signal) {
  (void)signal;
  lua_State *L = atomic_load(&interrupted);
  if (L != NULL) lua_sethook(L, raise_interrupt, EVERY_STEP, 1);
}

/* Calls the function at 1 with the arguments behind it, protected, while SIGINT is ours. Reading from a terminal is cut
   short (no SA_RESTART). A process that ignores the signal goes on ignoring it. */
static int call_interruptible(lua_State *L) {
  struct sigaction ours, before;
  Hook hook = {lua_gethook(L), lua_gethookmask(L), lua_gethookcount(L)};
  memset(&ours, 0, sizeof ours);
  ours.sa_handler = on_interrupt;
  sigaction(SIGINT, NULL, &before);
  if (before.sa_handler != SIG_IGN) sigaction(SIGINT, &ours, NULL);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  sigaction(SIGINT, &before, NULL);
  atomic_store(&interrupted, NULL);
  lua_sethook(L, hook.function, hook.mask, hook.count);
  return status;
}

/***
Calls a function, and ends it with the error "interrupted!" when SIGINT comes (Ctrl-C), each time. It returns what
`pcall` would. While the function runs, luagpt handles SIGINT; before and after, the host's handler does. lua5.4's own
makes only the first Ctrl-C of a script an error: the second ends the process. Reading a line from a terminal is cut
short. A call inside another one is a plain `pcall`. The function must not yield.
@function interruptible
@tparam function fn
@param ... its arguments
@treturn boolean whether it ended without an error
@return what it returned, or the error
@usage local ok, problem = gpt.interruptible(function()
  for piece in model:stream({ 3, 1, 2 }, { max_new_tokens = 5 }) do io.write(piece, " ") end
end)
print(ok or problem)
*/
static int interruptible(lua_State *L) {
  lua_State *none = NULL;
  bind_check_type(L, 1, LUA_TFUNCTION);
  bool outermost = atomic_compare_exchange_strong(&interrupted, &none, L);
  int status = outermost ? call_interruptible(L) : lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  lua_pushboolean(L, status == LUA_OK);
  lua_insert(L, 1);
  return lua_gettop(L);
}

static const luaL_Reg functions[] = {{"interruptible", interruptible}, {NULL, NULL}};

void bind_open_interrupt(lua_State *L) { bind_functions(L, functions); }
