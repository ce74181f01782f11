#include "core/linalg/blas_seats.h"

#include <cblas.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define BUFFER_BYTES ((size_t)128 << 20)
#define SPARE_BYTES ((size_t)1 << 20) /* beside it, for what other threads map meanwhile */
#define FORK_SECONDS 1                /* that a fork waits for products */

static struct {
  pthread_mutex_t lock;
  pthread_cond_t left;
  int made, taken, most;
  bool forking; /* nobody sits down */
} seats = {.lock = PTHREAD_MUTEX_INITIALIZER, .left = PTHREAD_COND_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;

/* OpenBLAS built without threads has no locks of its own: its callers take turns. */
static int count_seats(void) {
  const char *threads = strstr(openblas_get_config(), "MAX_THREADS=");
  int most = 1;
  if (openblas_get_parallel() == 0 || threads == NULL || sscanf(threads, "MAX_THREADS=%d", &most) != 1) return 1;
  return most > 1 ? most : 1;
}

/* A child of fork has none of the threads that sit: it waits for them to get up, but not for ever. A signal handler may
   fork in a thread that sits itself. */
static void wait_for_all(void) {
  struct timespec end;
  clock_gettime(CLOCK_REALTIME, &end);
  end.tv_sec += FORK_SECONDS;
  pthread_mutex_lock(&seats.lock);
  seats.forking = true;
  while (seats.taken > 0 && pthread_cond_timedwait(&seats.left, &seats.lock, &end) == 0) continue;
}

static void let_sit_again(void) {
  seats.forking = false;
  pthread_cond_broadcast(&seats.left);
  pthread_mutex_unlock(&seats.lock);
}

/* In the child the buffers of those who sat are lost. */
static void begin_in_child(void) {
  pthread_mutex_init(&seats.lock, NULL);
  pthread_cond_init(&seats.left, NULL);
  seats.made -= seats.taken;
  seats.taken = 0;
  seats.forking = false;
}

static void prepare_seats(void) {
  openblas_set_num_threads(1);
  seats.most = count_seats();
  pthread_atfork(wait_for_all, let_sit_again, begin_in_child);
}

static bool system_has_room(void) {
  const size_t bytes = BUFFER_BYTES + SPARE_BYTES;
  void *room = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return false;
  munmap(room, bytes);
  return true;
}

/* A product that is too large for the ways of OpenBLAS that need no buffer. */
static void map_buffer(void) {
  enum { SIDE = 32, DEPTH = 1024 };
  static float zeros[SIDE * DEPTH];
  float sums[SIDE * SIDE];
  cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, SIDE, SIDE, DEPTH, 1, zeros, SIDE, zeros, SIDE, 0, sums, SIDE);
}

/* Under the lock, while all seats are taken. */
static bool make_seat(void) {
  if (seats.made == seats.most || !system_has_room()) return false;
  map_buffer();
  seats.made++;
  return true;
}

bool gpt_blas_ready(GptEnv *env) {
  pthread_once(&once, prepare_seats);
  pthread_mutex_lock(&seats.lock);
  const bool ready = seats.made > 0 || make_seat();
  pthread_mutex_unlock(&seats.lock);
  return ready || gpt_fail(env, "not enough memory: the system refused OpenBLAS a buffer of %zu bytes", BUFFER_BYTES);
}

void gpt_blas_enter(void) {
  pthread_mutex_lock(&seats.lock);
  while (seats.forking || (seats.taken == seats.made && !make_seat())) pthread_cond_wait(&seats.left, &seats.lock);
  seats.taken++;
  pthread_mutex_unlock(&seats.lock);
}

void gpt_blas_leave(void) {
  pthread_mutex_lock(&seats.lock);
  seats.taken--;
  pthread_cond_broadcast(&seats.left);
  pthread_mutex_unlock(&seats.lock);
}
