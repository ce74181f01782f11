#include "core/kernels/amx.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define AMX_BF16 (1u << 22) /* leaf 7, EDX */
#define AMX_TILE (1u << 24)
#define TILE_STATES (3u << 17)        /* of XCR0: the tiles' shapes, and what is in them */
#define ARCH_REQ_XCOMP_PERM 0x1023    /* Linux 5.16 */
#define TILE_DATA 18

bool gpt_amx_there(void) {
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return false;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d & (AMX_BF16 | AMX_TILE)) != (AMX_BF16 | AMX_TILE)) return false;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (low & TILE_STATES) == TILE_STATES;
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool allowed;

static void ask_for_tiles(void) { allowed = syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0; }

bool gpt_amx_allowed(void) {
  pthread_once(&once, ask_for_tiles);
  return allowed;
}
#endif
