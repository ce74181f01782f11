/* Chooses the set of kernels for this processor. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/kernels.h"

extern const GptKernels gpt_kernel_table_generic;

#if defined(__x86_64__)
extern const GptKernels gpt_kernel_table_avx2, gpt_kernel_table_avx512;

static bool has_avx2(void) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const GptKernels *chosen;

/* The best set comes first; a name in LUAGPT_KERNELS skips those before it. */
static void choose_kernels(void) {
  const GptKernels *sets[3];
  int count = 0;
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (has_avx512()) sets[count++] = &gpt_kernel_table_avx512;
  if (has_avx2()) sets[count++] = &gpt_kernel_table_avx2;
#endif
  sets[count++] = &gpt_kernel_table_generic;
  const char *wanted = getenv("LUAGPT_KERNELS");
  chosen = sets[0];
  for (int i = 0; wanted != NULL && i < count; i++)
    if (strcmp(wanted, sets[i]->name) == 0) chosen = sets[i];
}

const GptKernels *gpt_kernels(void) {
  pthread_once(&once, choose_kernels);
  return chosen;
}
