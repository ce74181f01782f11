/* gpt.interruptible: Ctrl-C as an error, every time. lua5.4 alone makes it one only once: its handler leaves the next
   Ctrl-C to end the process. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "binding/binding.h"

#define PATIENCE 1000000000 /* nanoseconds */
#define EVERY_STEP (LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT)

/* The thread of the call under way in this process, which the handler interrupts; NULL where there is none. */
static _Atomic(lua_State *) interrupted;

static struct sigaction hosts;       /* what the process did with the signal before the call */
static _Atomic int64_t unheard_since; /* when a signal came that has not become an error yet; 0: none */

/* The hook that ours stands for. */
static struct {
  lua_Hook function;
  int mask, count;
} other;

static void put_other_back(lua_State *L) { lua_sethook(L, other.function, other.mask, other.count); }

/* Runs as a hook, at the next step of Lua. */
static void raise_interrupt(lua_State *L, lua_Debug *step) {
  (void)step;
  put_other_back(L);
  atomic_store(&unheard_since, 0);
  lua_pushliteral(L, "interrupted!");
  lua_error(L);
}

static void set_our_hook(lua_State *L) {
  if (lua_gethook(L) == raise_interrupt) return;
  other.function = lua_gethook(L), other.mask = lua_gethookmask(L), other.count = lua_gethookcount(L);
  lua_sethook(L, raise_interrupt, EVERY_STEP, 1);
}

/* Has a signal waited for so long that this one is the host's? The thread runs a coroutine, or a call of C that goes on
   and on. */
static bool is_hosts_turn(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  int64_t time = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, since = 0;
  return !atomic_compare_exchange_strong(&unheard_since, &since, time) && time - since > PATIENCE;
}

/* lua_sethook is what a signal handler may call. */
static void on_interrupt(int signal) {
  lua_State *L = atomic_load(&interrupted);
  if (L == NULL) return;
  if (is_hosts_turn()) {
    sigaction(signal, &hosts, NULL);
    raise(signal);
  } else {
    set_our_hook(L);
  }
}

/* Calls the function at 1 with the arguments behind it, protected, while SIGINT is ours. Reading from a terminal is cut
   short (no SA_RESTART). A process that ignores the signal goes on ignoring it. */
static int call_interruptible(lua_State *L) {
  struct sigaction ours;
  memset(&ours, 0, sizeof ours);
  ours.sa_handler = on_interrupt;
  atomic_store(&unheard_since, 0);
  sigaction(SIGINT, NULL, &hosts);
  if (hosts.sa_handler != SIG_IGN) sigaction(SIGINT, &ours, NULL);
  int status = lua_pcall(L, lua_gettop(L) - 1, LUA_MULTRET, 0);
  sigaction(SIGINT, &hosts, NULL);
  atomic_store(&interrupted, NULL);
  if (lua_gethook(L) == raise_interrupt) put_other_back(L); /* the signal came with the last step */
  return status;
}

/***
Calls a function, and ends it with the error "interrupted!" when SIGINT comes (Ctrl-C), each time. It returns what
`pcall` would. While the function runs, luagpt handles SIGINT; before and after, the host's handler does. lua5.4's own
makes only the first Ctrl-C of a script an error: the second ends the process. Reading a line from a terminal is cut
short. A call inside another one is a plain `pcall`. The function must not yield. A coroutine that it runs is not
interrupted, and neither is a call of C: the error comes when they are done. A second SIGINT that comes a second or more
after one that is still waiting is the host's: lua5.4 ends with it, or with the next one.
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
