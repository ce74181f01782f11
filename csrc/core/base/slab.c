#include "core/base/slab.h"

#include "core/base/cache_line.h"
#include "core/base/memory.h"

#define LARGEST ((size_t)32 << 20) /* of a slab with more than one block */

/* Before each block. */
typedef struct SlabBlock {
  struct GptSlab *slab;
  struct SlabBlock *next; /* where it is free */
  int64_t refs;
} SlabBlock;

/* At its own beginning. An environment has them in a ring: those with free blocks first, full ones behind. */
typedef struct GptSlab {
  struct GptSlab *before, *behind;
  size_t bytes, step; /* of a block, and from one to the next */
  size_t count, used;
  SlabBlock *free;
} GptSlab;

static void unlink_slab(GptEnv *env, GptSlab *slab) {
  if (env->slabs == slab) env->slabs = slab->behind != slab ? slab->behind : NULL;
  slab->before->behind = slab->behind;
  slab->behind->before = slab->before;
}

static void link_slab(GptEnv *env, GptSlab *slab, bool first) {
  GptSlab *head = env->slabs != NULL ? env->slabs : slab;
  if (head == slab) slab->before = slab;
  slab->behind = head;
  slab->before = head->before;
  slab->before->behind = slab;
  head->before = slab;
  if (first || head == slab) env->slabs = slab;
}

static size_t slab_size(size_t step, size_t count) { return 2 * GPT_CACHE_LINE + count * step; }

/* Bytes that the allocator counts as live become cached ones: blocks are counted as they are handed out. */
static GptSlab *alloc_slab(GptEnv *env, size_t size) {
  size_t peak = env->memory.peak;
  GptSlab *slab = gpt_alloc_for_walks(env, size);
  if (slab == NULL) return NULL;
  gpt_memory_discount(env, size);
  env->memory.cached += size;
  env->memory.peak = peak;
  return slab;
}

static void free_slab(GptEnv *env, GptSlab *slab) {
  size_t size = slab_size(slab->step, slab->count);
  env->memory.live += size;
  env->memory.cached -= size;
  gpt_free(env, slab);
}

static GptSlab *make_slab(GptEnv *env, size_t bytes, size_t count) {
  size_t step = GPT_CACHE_LINE + (bytes + GPT_CACHE_LINE - 1) / GPT_CACHE_LINE * GPT_CACHE_LINE;
  GptSlab *slab = alloc_slab(env, slab_size(step, count));
  if (slab == NULL) return NULL;
  *slab = (GptSlab){.bytes = bytes, .step = step, .count = count};
  for (size_t i = count; i-- > 0;) {
    SlabBlock *block = (SlabBlock *)((char *)slab + 2 * GPT_CACHE_LINE + i * step);
    *block = (SlabBlock){.slab = slab, .next = slab->free};
    slab->free = block;
  }
  link_slab(env, slab, true);
  return slab;
}

/* Half of what there is of that size already. */
static size_t next_count(const GptEnv *env, size_t bytes) {
  size_t count = 0, most = LARGEST / (bytes + GPT_CACHE_LINE);
  for (const GptSlab *slab = env->slabs; slab != NULL; slab = slab->behind != env->slabs ? slab->behind : NULL)
    if (slab->bytes == bytes) count += slab->count;
  count = count / 2 < most ? count / 2 : most;
  return count > 0 ? count : 1;
}

/* A smaller one where memory is short. */
static GptSlab *new_slab(GptEnv *env, size_t bytes) {
  size_t count = next_count(env, bytes);
  GptSlab *slab = make_slab(env, bytes, count);
  if (slab != NULL || count == 1) return slab;
  slab = make_slab(env, bytes, 1);
  if (slab != NULL) env->error[0] = '\0';
  return slab;
}

static GptSlab *slab_with_room(GptEnv *env, size_t bytes) {
  GptSlab *slab = env->slabs;
  while (slab != NULL && slab->free != NULL && slab->bytes != bytes)
    slab = slab->behind != env->slabs ? slab->behind : NULL;
  return slab != NULL && slab->free != NULL ? slab : new_slab(env, bytes);
}

void *gpt_slab_alloc(GptEnv *env, size_t bytes) {
  if (bytes > SIZE_MAX / 4) return gpt_alloc(env, bytes); /* which says what is wrong */
  if (!gpt_memory_fits(env, bytes)) return NULL;
  GptSlab *slab = slab_with_room(env, bytes);
  if (slab == NULL) return NULL;
  gpt_memory_count(env, bytes);
  env->memory.cached -= bytes;
  SlabBlock *block = slab->free;
  slab->free = block->next;
  slab->used++;
  block->refs = 1;
  if (slab->free == NULL) {
    unlink_slab(env, slab);
    link_slab(env, slab, false);
  }
  return (char *)block + GPT_CACHE_LINE;
}

static SlabBlock *block_of(const void *pointer) { return (SlabBlock *)((char *)(uintptr_t)pointer - GPT_CACHE_LINE); }

void *gpt_slab_retain(void *pointer) {
  block_of(pointer)->refs++;
  return pointer;
}

bool gpt_slab_shared(const void *pointer) { return block_of(pointer)->refs > 1; }

void gpt_slab_release(GptEnv *env, void *pointer) {
  SlabBlock *block = block_of(pointer);
  GptSlab *slab = block->slab;
  if (--block->refs > 0) return;
  bool full = slab->free == NULL;
  block->next = slab->free;
  slab->free = block;
  slab->used--;
  gpt_memory_discount(env, slab->bytes);
  env->memory.cached += slab->bytes;
  if (full || slab->used == 0) unlink_slab(env, slab);
  if (slab->used == 0) free_slab(env, slab);
  else if (full) link_slab(env, slab, true);
}
