/* What no program can beat: a plain read of the weights, and OpenBLAS's rate of products in float32. */
#ifndef BENCH_BOUNDS_H
#define BENCH_BOUNDS_H

#include <cblas.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "core/base/parallel.h"
#include "core/kernels/kernels.h"
#include "measure.h"

#define READ_GRAIN (1 << 16) /* floats read by a thread at a time, at least */

static inline void bounds_read_part(void *context, int64_t first, int64_t last) {
  volatile float sink = gpt_kernels()->sum((const float *)context + first, last - first);
  (void)sink;
}

/* Reads that many bytes with the core's threads. */
static inline void bounds_read(const void *data, size_t bytes) {
  gpt_parallel_for((int64_t)(bytes / sizeof(float)), READ_GRAIN, bounds_read_part, (void *)data);
}

/* y[m, n] = x[m, k] w[n, k]', by as many threads of OpenBLAS's own as the core has. */
static inline void bounds_multiply(float *y, const float *x, const float *w, int64_t m, int64_t n, int64_t k) {
  openblas_set_num_threads(gpt_threads());
  cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)m, (int)n, (int)k, 1.0f, x, (int)k, w, (int)k, 0.0f, y, (int)n);
  openblas_set_num_threads(1);
}

/* OpenBLAS's threads go on spinning for a while, and would take a processor from ours. */
static inline void bounds_rest(void) { nanosleep(&(struct timespec){0, 60000000}, NULL); }

/* Memory in large pages, which is read as fast as memory can be; zeros. */
static inline void *bounds_memory(size_t bytes) {
  const size_t page = (size_t)1 << 21;
  void *data = aligned_alloc(page, (bytes + page - 1) / page * page);
  if (data == NULL) {
    fprintf(stderr, "no memory for %zu bytes\n", bytes);
    exit(1);
  }
  madvise(data, bytes, MADV_HUGEPAGE);
  memset(data, 0, bytes);
  return data;
}

#endif
