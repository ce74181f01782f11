/* What the programs that measure share. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* n numbers from -1 to 1; without the memory for them the program ends. */
static inline float *random_floats(int64_t n) {
  float *data = aligned_alloc(64, ((size_t)n * sizeof *data + 63) / 64 * 64); /* as the core's own memory */
  if (data == NULL) {
    fprintf(stderr, "no memory for %lld numbers\n", (long long)n);
    exit(1);
  }
  for (int64_t i = 0; i < n; i++) data[i] = (float)(rand() % 2000 - 1000) * 1e-3f;
  return data;
}

#endif
