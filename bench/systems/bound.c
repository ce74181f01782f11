/*
 * The machine's bounds, measured in turn with the systems: bound THREADS. Reads requests as bench/talk.lua does:
 *
 *   read BYTES             seconds of a plain read of that many bytes
 *   products M,N,K,COUNT.. seconds of OpenBLAS's products in float32, COUNT times each, every weight in a place of its own
 */
#include <string.h>

#include "bounds.h"
#include "talk.h"

#define ROOM ((size_t)1 << 30) /* weights: more than fits in any cache; larger ones are read in turns */
#define MOST_NUMBERS ((int64_t)1 << 24)

static char *weights;
static float *x, *y;

static double time_read(const char *arguments) {
  size_t left = (size_t)strtoull(arguments, NULL, 10);
  double begin = seconds();
  for (; left > ROOM; left -= ROOM) bounds_read(weights, ROOM);
  bounds_read(weights, left);
  return seconds() - begin;
}

/* Negative where a shape has no place. */
static double time_products(const char *arguments) {
  size_t place = 0;
  int used = 0;
  long long m, n, k, count;
  double begin = seconds();
  for (; sscanf(arguments, " %lld,%lld,%lld,%lld%n", &m, &n, &k, &count, &used) == 4; arguments += used) {
    size_t bytes = (size_t)(n * k) * sizeof(float);
    if (bytes > ROOM || m * k > MOST_NUMBERS || m * n > MOST_NUMBERS) return -1;
    for (long long i = 0; i < count; i++, place += bytes) {
      if (place + bytes > ROOM) place = 0;
      bounds_multiply(y, x, (const float *)(weights + place), m, n, k);
    }
  }
  double elapsed = seconds() - begin;
  bounds_rest();
  return elapsed;
}

int main(int argc, char **argv) {
  static const TalkRequest requests[] = {{"read", time_read}, {"products", time_products}, {NULL, NULL}};
  gpt_threads_set(argc > 1 ? atoi(argv[1]) : 0);
  weights = bounds_memory(ROOM);
  x = random_floats(MOST_NUMBERS), y = random_floats(MOST_NUMBERS);
  memcpy(weights, x, (size_t)MOST_NUMBERS * sizeof *x);
  return talk(requests);
}
