#include "core/base/parallel.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "core/base/limits.h"

#if defined(__x86_64__)
#define PAUSE() __builtin_ia32_pause()
#else
#define PAUSE() ((void)0)
#endif

#define HANDOVER 32768 /* floats of a simple loop: what is worth handing over to another thread */
#define MOST_THREADS 256
#define STACK_SIZE ((size_t)512 << 10)
#define SPIN_NANOSECONDS 50000
#define CLOSED (1u << 31)

/*
 * One loop runs at a time; whoever holds `running` owns the plain fields. A loop is announced by a new `generation`.
 * A thread takes part by adding itself to `members`, which the caller closes when no items are left: so a thread
 * that wakes late finds the loop closed, and nobody waits for it.
 */
static struct {
  pthread_mutex_t running;
  int threads;             /* started, the caller not included */
  int wanted_then;         /* the setting they were started for */
  bool spin;               /* there is a processor for each thread */
  pthread_t ids[MOST_THREADS];

  GptTask task;
  void *context;
  int64_t n, grain;
  atomic_int_fast64_t next; /* the first item nobody has taken */
  atomic_uint members;      /* threads inside the loop, and CLOSED */
  atomic_uint generation;
  atomic_bool quit;

  pthread_mutex_t sleeping; /* guards the two conditions */
  pthread_cond_t announced, left;
  atomic_int sleepers;
  atomic_bool caller_sleeps;
} pool = {.running = PTHREAD_MUTEX_INITIALIZER,
          .sleeping = PTHREAD_MUTEX_INITIALIZER,
          .announced = PTHREAD_COND_INITIALIZER,
          .left = PTHREAD_COND_INITIALIZER,
          .members = CLOSED};

static atomic_int wanted; /* as gpt_threads_set left it; 0: the default */
static atomic_int processors;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int count_processors(void) {
  cpu_set_t set;
  int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
  int quota = gpt_cgroup_processors();
  if (quota > 0 && quota < count) count = quota;
  return count < 1 ? 1 : count;
}

/* The child of a fork has none of the threads, and locks in any state: it begins anew. */
static void begin_anew(void) {
  pthread_mutex_init(&pool.running, NULL);
  pthread_mutex_init(&pool.sleeping, NULL);
  pthread_cond_init(&pool.announced, NULL);
  pthread_cond_init(&pool.left, NULL);
  pool.threads = pool.wanted_then = 0;
  atomic_store(&pool.members, CLOSED);
  atomic_store(&pool.sleepers, 0);
  atomic_store(&pool.caller_sleeps, false);
  atomic_store(&pool.quit, false);
}

static void prepare_fork(void) {
  atomic_store(&processors, count_processors());
  pthread_atfork(NULL, NULL, begin_anew);
}

int gpt_threads(void) {
  int count = atomic_load(&wanted);
  pthread_once(&once, prepare_fork);
  return count > 0 ? count : atomic_load(&processors);
}

static int64_t nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Spins until the word is no longer `value`; false if that did not come soon. */
static bool spin_while(const atomic_uint *word, unsigned value) {
  if (!pool.spin) return atomic_load(word) != value;
  int64_t end = nanoseconds() + SPIN_NANOSECONDS;
  do {
    for (int i = 0; i < 50; i++) {
      if (atomic_load_explicit(word, memory_order_acquire) != value) return true;
      PAUSE();
    }
  } while (nanoseconds() < end);
  return false;
}

static void wait_for_loop(unsigned seen) {
  if (spin_while(&pool.generation, seen)) return;
  pthread_mutex_lock(&pool.sleeping);
  atomic_fetch_add(&pool.sleepers, 1);
  while (atomic_load(&pool.generation) == seen) pthread_cond_wait(&pool.announced, &pool.sleeping);
  atomic_fetch_sub(&pool.sleepers, 1);
  pthread_mutex_unlock(&pool.sleeping);
}

static void announce(void) {
  atomic_fetch_add(&pool.generation, 1);
  if (atomic_load(&pool.sleepers) == 0) return;
  pthread_mutex_lock(&pool.sleeping);
  pthread_cond_broadcast(&pool.announced);
  pthread_mutex_unlock(&pool.sleeping);
}

static void run_pieces(void) {
  for (;;) {
    int64_t first = atomic_fetch_add(&pool.next, pool.grain);
    if (first >= pool.n) return;
    int64_t last = pool.n - first < pool.grain ? pool.n : first + pool.grain;
    pool.task(pool.context, first, last);
  }
}

static bool enter(void) {
  unsigned members = atomic_load(&pool.members);
  while ((members & CLOSED) == 0)
    if (atomic_compare_exchange_weak(&pool.members, &members, members + 1)) return true;
  return false;
}

static void leave(void) {
  if (atomic_fetch_sub(&pool.members, 1) != (CLOSED | 1) || !atomic_load(&pool.caller_sleeps)) return;
  pthread_mutex_lock(&pool.sleeping);
  pthread_cond_signal(&pool.left);
  pthread_mutex_unlock(&pool.sleeping);
}

/* Waits until the others have finished their pieces. */
static void close_loop(void) {
  unsigned members = atomic_fetch_or(&pool.members, CLOSED) | CLOSED;
  while (members != CLOSED && spin_while(&pool.members, members)) members = atomic_load(&pool.members);
  if (members == CLOSED) return;
  pthread_mutex_lock(&pool.sleeping);
  atomic_store(&pool.caller_sleeps, true);
  while (atomic_load(&pool.members) != CLOSED) pthread_cond_wait(&pool.left, &pool.sleeping);
  atomic_store(&pool.caller_sleeps, false);
  pthread_mutex_unlock(&pool.sleeping);
}

static void *work(void *start) {
  unsigned seen = (unsigned)(uintptr_t)start;
  for (;;) {
    wait_for_loop(seen);
    if (atomic_load(&pool.quit)) return NULL;
    seen = atomic_load(&pool.generation);
    if (!enter()) continue;
    run_pieces();
    leave();
  }
}

static void stop_threads(void) {
  atomic_store(&pool.quit, true);
  announce();
  for (int i = 0; i < pool.threads; i++) pthread_join(pool.ids[i], NULL);
  atomic_store(&pool.quit, false);
  pool.threads = 0;
}

/* Starts as many as it can. They inherit a mask that blocks every signal. */
static void start_threads(int count) {
  sigset_t every, before;
  pthread_attr_t attributes;
  void *start = (void *)(uintptr_t)atomic_load(&pool.generation);
  if (pthread_attr_init(&attributes) != 0) return;
  pthread_attr_setstacksize(&attributes, STACK_SIZE);
  sigfillset(&every);
  pthread_sigmask(SIG_SETMASK, &every, &before);
  while (pool.threads < count && pthread_create(&pool.ids[pool.threads], &attributes, work, start) == 0) {
    pthread_setname_np(pool.ids[pool.threads], "luagpt");
    pool.threads++;
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attributes);
}

/* Makes the pool what the setting says now. */
static void fit_pool(int count) {
  if (pool.wanted_then == count) return;
  stop_threads();
  pool.spin = count <= atomic_load(&processors);
  pool.wanted_then = count;
  start_threads(count - 1);
}

int64_t gpt_grain(int64_t cost) { return cost >= HANDOVER ? 1 : HANDOVER / (cost < 1 ? 1 : cost); }

int64_t gpt_thread_share(int64_t n, int64_t halved) {
  const int64_t share = (n + gpt_threads() - 1) / gpt_threads();
  return share > halved ? (share + 1) / 2 : share;
}

/* Waits for the loop that runs, if one does, and ends the threads that are too many. */
void gpt_threads_set(int count) {
  if (count < 0) count = 0;
  atomic_store(&wanted, count > MOST_THREADS ? MOST_THREADS : count);
  pthread_mutex_lock(&pool.running);
  if (pool.threads >= gpt_threads()) fit_pool(gpt_threads());
  pthread_mutex_unlock(&pool.running);
}

static void run_together(int64_t n, int64_t grain, GptTask task, void *context) {
  pool.task = task;
  pool.context = context;
  pool.n = n;
  pool.grain = grain < 1 ? 1 : grain;
  atomic_store(&pool.next, 0);
  atomic_store(&pool.members, 0);
  if (pool.threads > 0) announce();
  run_pieces();
  close_loop();
}

void gpt_parallel_for(int64_t n, int64_t grain, GptTask task, void *context) {
  if (n <= 0) return;
  if (n <= grain || gpt_threads() == 1 || pthread_mutex_trylock(&pool.running) != 0) {
    task(context, 0, n);
    return;
  }
  fit_pool(gpt_threads()); /* asked again: another state may have set it before the lock was had */
  run_together(n, grain, task, context);
  pthread_mutex_unlock(&pool.running);
}
