#include "mpi/pump.h"

#include <pthread.h>
#include <signal.h>
#include <time.h>

#define PAUSE 100000 /* nanoseconds between two looks at what is under way: some 100 kB at 10 Gbit/s */
#define HURRY 200    /* looks of who waits before it pauses too: most short exchanges are over by then */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t something = PTHREAD_COND_INITIALIZER;
static PumpExchange *under_way;
static pthread_t thread;
static bool running, stopping;

void pump_lock(void) { pthread_mutex_lock(&lock); }
void pump_unlock(void) { pthread_mutex_unlock(&lock); }

void pump_add(PumpExchange *exchange) {
  PumpExchange **last = &under_way;
  while (*last != NULL) last = &(*last)->next;
  *last = exchange;
  pthread_cond_signal(&something);
}

/* Looks at all that is under way, the oldest first; takes out what is finished. */
static void look_after_all(void) {
  PumpExchange **at = &under_way;
  while (*at != NULL) {
    PumpExchange *exchange = *at;
    int done = 0;
    exchange->status = MPI_Testall(exchange->count, exchange->requests, &done, MPI_STATUSES_IGNORE);
    exchange->finished = done || exchange->status != MPI_SUCCESS;
    if (exchange->finished) *at = exchange->next;
    else at = &exchange->next;
  }
}

static void pause_for(long nanoseconds) { nanosleep(&(struct timespec){.tv_nsec = nanoseconds}, NULL); }

/* A rank that waits for one without a processor must not take it the processor. */
int pump_finish(PumpExchange *exchange) {
  bool finished = false;
  for (int looks = 0; !finished; looks++) {
    pump_lock();
    if (!exchange->finished) look_after_all();
    finished = exchange->finished;
    pump_unlock();
    if (!finished && looks >= HURRY) pause_for(PAUSE / 2);
  }
  return exchange->status;
}

static void *pump(void *unused) {
  pump_lock();
  while (!stopping) {
    if (under_way == NULL) pthread_cond_wait(&something, &lock);
    look_after_all();
    pump_unlock();
    pause_for(PAUSE);
    pump_lock();
  }
  pump_unlock();
  return unused;
}

/* Signals stay the host's. */
void pump_start(bool threads) {
  sigset_t every, before;
  if (!threads) return;
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  running = pthread_create(&thread, NULL, pump, NULL) == 0;
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void pump_stop(void) {
  if (!running) return;
  pump_lock();
  stopping = true;
  pthread_cond_signal(&something);
  pump_unlock();
  pthread_join(thread, NULL);
  running = false;
}
