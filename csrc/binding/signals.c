/*
 * For a server, and for training by several processes: whether the process was asked to end. Signals are the host's: nothing is changed before the host asks
 * for it, and what was there comes back.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "binding/binding.h"

static const int numbers[] = {SIGTERM, SIGINT};
#define COUNT (sizeof numbers / sizeof numbers[0])

/* Signals belong to the process, so this does, too. */
static atomic_int seen;
static atomic_bool watching;
static struct sigaction before[COUNT];

/* What the handler writes on standard error, for a process that may be ended before it can say anything itself: one of
   two texts is in use while the other one is made. */
#define NOTE_SIZE 1024
static char notes[2][NOTE_SIZE];
static atomic_int note_in_use = -1; /* -1: none */

static void note_signal(int number) {
  int before_call = errno;
  int note = atomic_load(&note_in_use);
  if (note >= 0 && write(STDERR_FILENO, notes[note], strlen(notes[note])) < 0) note = -1; /* there is nobody to tell */
  atomic_store_explicit(&seen, number, memory_order_relaxed);
  errno = before_call;
}

/* _signal_note([text]): what the first signal writes from now on; nothing without. */
static int signal_note(lua_State *L) {
  const char *text = bind_opt_string(L, 1, NULL);
  int other = atomic_load(&note_in_use) == 0 ? 1 : 0;
  if (text != NULL) snprintf(notes[other], NOTE_SIZE, "%s", text);
  atomic_store(&note_in_use, text != NULL ? other : -1);
  return 0;
}

/* Notes a signal from now on, unless the process ignores it: that is its parent's wish, a shell's for instance that put
   it into the background. */
static void watch(int number, struct sigaction *was) {
  struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
  sigemptyset(&action.sa_mask);
  sigaction(number, NULL, was);
  if ((was->sa_flags & SA_SIGINFO) != 0 || was->sa_handler != SIG_IGN) sigaction(number, &action, NULL);
}

/* _watch_signals(): from now on SIGTERM and SIGINT are noted. A second one of a kind does what it would have done.
   Returns false where somebody in the process watches already. */
static int watch_signals(lua_State *L) {
  bool begun = !atomic_exchange(&watching, true);
  if (begun) {
    atomic_store(&seen, 0);
    for (size_t i = 0; i < COUNT; i++) watch(numbers[i], &before[i]);
  }
  lua_pushboolean(L, begun);
  return 1;
}

/* _unwatch_signals(): what was there before comes back. */
static int unwatch_signals(lua_State *L) {
  (void)L;
  if (!atomic_load(&watching)) return 0;
  for (size_t i = 0; i < COUNT; i++) sigaction(numbers[i], &before[i], NULL);
  atomic_store(&watching, false);
  return 0;
}

/* _signal_seen(): whether one came since they are watched. */
static int signal_seen(lua_State *L) {
  lua_pushboolean(L, atomic_load_explicit(&seen, memory_order_relaxed) != 0);
  return 1;
}

static const luaL_Reg functions[] = {{"_watch_signals", watch_signals},
                                     {"_unwatch_signals", unwatch_signals},
                                     {"_signal_seen", signal_seen},
                                     {"_signal_note", signal_note},
                                     {NULL, NULL}};

void bind_open_signals(lua_State *L) { bind_functions(L, functions); }
