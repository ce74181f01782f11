/* Chooses the set of kernels for this processor. */
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "core/kernels/amx.h"
#include "core/kernels/kernels.h"

extern const GptKernels gpt_kernel_table_generic;

#if defined(__x86_64__)
extern const GptKernels gpt_kernel_table_avx2, gpt_kernel_table_avxvnni, gpt_kernel_table_avx512,
    gpt_kernel_table_avx512vnni, gpt_kernel_table_avx512bf16;

/* clang knows no such name for __builtin_cpu_supports. */
static bool has_f16c(void) {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_F16C) != 0;
}

static bool has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c(); }

/* Compilers know no name for it: leaf 7.1, EAX, bit 4. */
static bool has_avxvnni(void) {
  unsigned a, b, c, d;
  return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & 1 << 4);
}

static bool has_avx512(void) {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
}

static bool has_avx512vnni(void) {
  return has_avx512() && __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx512vbmi");
}

static bool has_avx512bf16(void) { return has_avx512vnni() && __builtin_cpu_supports("avx512bf16"); }

static bool has_amx(void) { return has_avx512bf16() && gpt_amx_there(); }
#endif

#if defined(__aarch64__)
extern const GptKernels gpt_kernel_table_dotprod, gpt_kernel_table_i8mm;

/* Bits of Linux's AT_HWCAP and AT_HWCAP2, which older headers lack. */
#define ASIMDDP (1ul << 20)
#define I8MM (1ul << 13)
#define BF16 (1ul << 14)

static bool has_dotprod(void) { return (getauxval(AT_HWCAP) & ASIMDDP) != 0; }

/* With the products of pairs of bf16, which processors that have the one have too. */
static bool has_i8mm(void) { return has_dotprod() && (getauxval(AT_HWCAP2) & (I8MM | BF16)) == (I8MM | BF16); }
#endif

static bool runs_everywhere(void) { return true; }

/* The best set comes first. */
static const struct {
  bool (*runs)(void);
  const GptKernels *kernels;
  const char *name; /* of one that is another set with products by tiles; else NULL */
  GptTiles tiles;
} sets[] = {
#if defined(__x86_64__)
    {has_amx, &gpt_kernel_table_avx512bf16, "amx", {gpt_kernel_tiles_amx, gpt_amx_allowed}},
    {has_avx512bf16, &gpt_kernel_table_avx512bf16, NULL, {NULL, NULL}},
    {has_avx512vnni, &gpt_kernel_table_avx512vnni, NULL, {NULL, NULL}},
    {has_avx512, &gpt_kernel_table_avx512, NULL, {NULL, NULL}},
    {has_avxvnni, &gpt_kernel_table_avxvnni, NULL, {NULL, NULL}},
    {has_avx2, &gpt_kernel_table_avx2, NULL, {NULL, NULL}},
#elif defined(__aarch64__)
    {has_i8mm, &gpt_kernel_table_i8mm, NULL, {NULL, NULL}},
    {has_dotprod, &gpt_kernel_table_dotprod, NULL, {NULL, NULL}},
#endif
    {runs_everywhere, &gpt_kernel_table_generic, NULL, {NULL, NULL}},
#if defined(__x86_64__)
    /* Behind the one that runs everywhere: asked for by name, to check what is written over tiles. */
    {has_avx512bf16, &gpt_kernel_table_avx512bf16, "tiles", {gpt_kernel_tiles_tiles, runs_everywhere}},
#endif
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static GptKernels chosen;

/* A name in LUAGPT_KERNELS skips the sets before it, where the processor runs that one. */
static void choose_kernels(void) {
  const char *wanted = getenv("LUAGPT_KERNELS");
#if defined(__x86_64__)
  __builtin_cpu_init();
#endif
  for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
    const char *name = sets[i].name != NULL ? sets[i].name : sets[i].kernels->name;
    if (!sets[i].runs() || (chosen.name != NULL && (wanted == NULL || strcmp(wanted, name) != 0))) continue;
    chosen = *sets[i].kernels;
    chosen.name = name;
    chosen.tiles = sets[i].tiles;
  }
}

const GptKernels *gpt_kernels(void) {
  pthread_once(&once, choose_kernels);
  return &chosen;
}

const GptWeightPanels *gpt_weight_panels(GptDtype dtype) {
  const GptKernels *kernels = gpt_kernels();
  const GptWeightPanels *panels = kernels->tiles.panels != NULL ? kernels->tiles.panels[dtype] : NULL;
  return panels != NULL && kernels->tiles.allowed() ? panels : kernels->weights[dtype].panels;
}
