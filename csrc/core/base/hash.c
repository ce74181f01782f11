#include "core/base/hash.h"

#include <pthread.h>
#include <sys/random.h>
#include <time.h>

static GptHashKey process_key;

/* Where the system has no random numbers yet, the clock and the place in memory have to do. Factors are odd: an even one
   would lose a bit. */
static void draw_key(void) {
  if (getrandom(&process_key, sizeof process_key, GRND_NONBLOCK) != (ssize_t)sizeof process_key) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    process_key.first = (uint64_t)now.tv_nsec * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)&now;
    process_key.factor = gpt_hash_fold(process_key.first, 0xd6e8feb86659fd93u);
    process_key.last = gpt_hash_fold(process_key.factor, 0xc2b2ae3d27d4eb4fu);
  }
  process_key.factor |= 1;
  process_key.last |= 1;
}

GptHashKey gpt_hash_key(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, draw_key);
  return process_key;
}
