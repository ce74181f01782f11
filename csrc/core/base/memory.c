#include "core/base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/base/cache_line.h"
#include "core/base/limits.h"
#include "core/base/numbers.h"

/* The address sanitizer sees cached blocks as freed, and what lies past the bytes asked for as out of bounds. */
#ifndef __has_feature
#define __has_feature(name) 0 /* gcc defines __SANITIZE_ADDRESS__ instead */
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

#define SMALL_BITS 12
#define SMALL ((size_t)1 << SMALL_BITS)
#define SMALL_CLASSES ((int)SMALL / GPT_CACHE_LINE)
#define HUGE_PAGE ((size_t)2 << 20)
#define LARGE ((size_t)16 << 20) /* from here on the machine is asked what it has left */

/* Lies before each block and keeps it aligned. */
typedef struct GptBlock {
  size_t bytes;          /* asked for */
  size_t capacity;       /* had */
  struct GptBlock *next; /* in the cache */
} GptBlock;

_Static_assert(sizeof(GptBlock) <= GPT_CACHE_LINE, "a block's header fits in its alignment");

static GptBlock *header(void *block) { return (GptBlock *)((char *)block - GPT_CACHE_LINE); }
static void *payload(GptBlock *block) { return (char *)block + GPT_CACHE_LINE; }

/*
 * Every size belongs to a class, and all blocks of a class have one capacity, so that any cached one will do: up to 4
 * KiB a class for each multiple of 64, above that eight for each power of two, which wastes an eighth at most (and of
 * pages that nobody touches nothing).
 */
static int size_class(size_t bytes, size_t *capacity) {
  if (bytes <= SMALL) {
    size_t lines = bytes == 0 ? 1 : (bytes + GPT_CACHE_LINE - 1) / GPT_CACHE_LINE;
    *capacity = lines * GPT_CACHE_LINE;
    return (int)lines - 1;
  }
  int k = 63 - __builtin_clzll((unsigned long long)bytes - 1); /* 2^k < bytes <= 2^(k + 1) */
  size_t eighths = ((bytes - 1) >> (k - 3)) + 1;               /* 9 .. 16 */
  *capacity = eighths << (k - 3);
  return SMALL_CLASSES + (k - SMALL_BITS) * 8 + (int)eighths - 9;
}

static GptBlock *take_cached(GptMemory *memory, int class) {
  GptBlock *block = memory->cache[class];
  if (block == NULL) return NULL;
  memory->cache[class] = block->next;
  memory->cached -= block->capacity;
  return block;
}

void gpt_trim(GptEnv *env) {
  for (int k = 0; k < GPT_SIZE_CLASSES; k++) {
    GptBlock *next;
    for (GptBlock *block = env->memory.cache[k]; block != NULL; block = next) {
      next = block->next;
      env->memory.cached -= block->capacity;
      free(block);
    }
    env->memory.cache[k] = NULL;
  }
}

const char *gpt_format_bytes(size_t bytes, char *text) {
  static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  double value = (double)bytes;
  int unit = 0;
  while (value >= 1024 && unit < 4) value /= 1024, unit++;
  gpt_format(text, 32, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

static bool within_limit(GptEnv *env, size_t bytes) {
  char wanted[32], live[32], limit[32];
  const GptMemory *memory = &env->memory;
  if (memory->limit == 0 || (memory->live <= memory->limit && bytes <= memory->limit - memory->live)) return true;
  return gpt_fail(env, "not enough memory: %s requested, %s live, the limit is %s (gpt.memory{limit = bytes} sets it)",
                  gpt_format_bytes(bytes, wanted), gpt_format_bytes(memory->live, live),
                  gpt_format_bytes(memory->limit, limit));
}

static bool within_machine(GptEnv *env, size_t bytes) {
  char wanted[32], left[32];
  if (bytes < LARGE) return true;
  size_t available = gpt_memory_left();
  if (bytes <= available) return true;
  return gpt_fail(env, "not enough memory: %s requested, the machine has %s left", gpt_format_bytes(bytes, wanted),
                  gpt_format_bytes(available, left));
}

static bool is_refused(GptMemoryFaults *faults) {
  int64_t number = ++faults->requests;
  return number == faults->at || (faults->stays && faults->at > 0 && number > faults->at);
}

static bool fail_refused(GptEnv *env, size_t bytes) {
  return gpt_fail(env, "not enough memory: the system refused %zu bytes", bytes);
}

bool gpt_memory_fits(GptEnv *env, size_t bytes) {
  bool refused = is_refused(&env->memory.faults);
  if (!refused && within_limit(env, bytes) && within_machine(env, bytes)) return true;
  if (refused) fail_refused(env, bytes);
  env->passing = true;
  return false;
}

void gpt_memory_count(GptEnv *env, size_t bytes) {
  env->memory.live += bytes;
  if (env->memory.live > env->memory.peak) env->memory.peak = env->memory.live;
}

void gpt_memory_discount(GptEnv *env, size_t bytes) { env->memory.live -= bytes; }

/* Asks the system for a block, with the cache given back if that is what it takes. */
static GptBlock *new_block(GptEnv *env, size_t capacity) {
  if (capacity >= LARGE && env->memory.cached > 0 && !within_machine(env, capacity)) gpt_trim(env);
  if (!within_machine(env, capacity)) return NULL;
  env->memory.system_calls++;
  /* As many whole huge pages as there can be. */
  const size_t alignment = capacity >= 2 * HUGE_PAGE ? HUGE_PAGE : GPT_CACHE_LINE;
  void *block = NULL;
  if (posix_memalign(&block, alignment, GPT_CACHE_LINE + capacity) != 0)
    return fail_refused(env, capacity), NULL;
  ((GptBlock *)block)->capacity = capacity;
  return block;
}

static GptBlock *find_block(GptEnv *env, size_t bytes) {
  size_t capacity;
  int class = size_class(bytes, &capacity);
  if (!within_limit(env, bytes)) return NULL;
  GptBlock *block = take_cached(&env->memory, class);
  return block != NULL ? block : new_block(env, capacity);
}

/* Garbage may have finalizers, which may use the core on other threads of the host's. */
static void relieve_pressure(GptEnv *env) {
  void *host = env->host;
  struct GptPass *pass = env->pass;
  bool nested = env->collecting;
  env->pass = NULL;
  env->collecting = true;
  env->on_pressure(host);
  env->collecting = nested;
  env->pass = pass;
  env->host = host;
  gpt_trim(env);
}

void *gpt_alloc(GptEnv *env, size_t bytes) {
  if (bytes > SIZE_MAX / 4) return gpt_fail_null(env, "not enough memory: a size of %zu bytes is absurd", bytes);
  bool refused = is_refused(&env->memory.faults);
  GptBlock *block = refused ? NULL : find_block(env, bytes);
  if (block == NULL && env->on_pressure != NULL) {
    relieve_pressure(env);
    block = refused ? NULL : find_block(env, bytes);
  }
  if (refused) fail_refused(env, bytes);
  if (block == NULL) return env->passing = true, NULL;
  block->bytes = bytes;
  block->next = NULL;
  gpt_memory_count(env, bytes);
  ASAN_POISON_MEMORY_REGION(payload(block), block->capacity);
  ASAN_UNPOISON_MEMORY_REGION(payload(block), bytes);
  return payload(block);
}

void *gpt_alloc_zeroed(GptEnv *env, size_t bytes) {
  void *block = gpt_alloc(env, bytes);
  if (block != NULL) memset(block, 0, bytes);
  return block;
}

void gpt_free(GptEnv *env, void *pointer) {
  if (pointer == NULL) return;
  GptMemory *memory = &env->memory;
  GptBlock *block = header(pointer);
  size_t capacity;
  int class = size_class(block->capacity, &capacity);
  memory->live -= block->bytes;
  memory->cached += capacity;
  block->next = memory->cache[class];
  memory->cache[class] = block;
  ASAN_POISON_MEMORY_REGION(pointer, block->capacity);
}

void *gpt_realloc(GptEnv *env, void *pointer, size_t bytes) {
  if (pointer == NULL) return gpt_alloc(env, bytes);
  void *fresh = gpt_alloc(env, bytes);
  if (fresh == NULL) return NULL;
  size_t old = header(pointer)->bytes;
  memcpy(fresh, pointer, old < bytes ? old : bytes);
  gpt_free(env, pointer);
  return fresh;
}

void gpt_prefer_huge_pages(void *data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t first = ((uintptr_t)data + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
  uintptr_t last = ((uintptr_t)data + bytes) & ~(uintptr_t)(HUGE_PAGE - 1);
  if (last > first) madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

void *gpt_alloc_for_walks(GptEnv *env, size_t bytes) {
  void *block = gpt_alloc(env, bytes);
  if (block != NULL) gpt_prefer_huge_pages(header(block), GPT_CACHE_LINE + bytes);
  return block;
}
