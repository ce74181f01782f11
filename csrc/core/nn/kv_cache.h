/*
 * The key-value cache of one conversation. A slot belongs to a layer and one of its runs in a pass: a layer that is
 * used twice has two. In whatever order layers run, each finds its own.
 */
#ifndef GPT_KV_CACHE_H
#define GPT_KV_CACHE_H

#include "core/base/env.h"
#include "core/kernels/dtype.h"

typedef struct GptKvSlot {
  const void *owner; /* the layer it serves; NULL: none now, it is free */
  int before;        /* the slot of the layer's run before this one; -1: it serves the first */
  uint64_t pass;     /* the last pass that claimed it */
  int64_t length;    /* tokens it holds */
  int64_t n_heads, head_dim;
  int64_t capacity;    /* tokens there is room for */
  void *keys, *values; /* [n_heads, capacity, head_dim] of the cache's dtype */
} GptKvSlot;

typedef struct GptKvCache {
  GptEnv *env;
  GptDtype dtype;   /* of keys and values: f32, or f16 in half the memory; to be set before the first use */
  int64_t length;   /* tokens held by every slot that was claimed in all passes */
  int64_t capacity; /* tokens every slot has room for */
  int64_t most;     /* the context length: capacity never grows past it */
  int n_slots;
  size_t slots_capacity;
  GptKvSlot *slots;
} GptKvCache;

void gpt_kv_cache_init(GptKvCache *cache, GptEnv *env, int64_t context_length);
void gpt_kv_cache_free(GptKvCache *cache); /* leaves it empty */

/* Makes room for that many tokens in all (at most the context length). On failure what was held stays. */
bool gpt_kv_cache_reserve(GptKvCache *cache, int64_t tokens);

/*
 * The slot of a layer's next run in the pass of that number; likely: where it is, if the pass goes as the one before.
 * Made at its first use. NULL and a message where the layer did not run so for the tokens that are held.
 */
GptKvSlot *gpt_kv_cache_claim(GptKvCache *cache, uint64_t pass, int likely, const void *owner, int64_t n_heads,
                              int64_t head_dim);

/* After a pass that succeeded: what it claimed holds that many tokens in all. */
void gpt_kv_cache_commit(GptKvCache *cache, uint64_t pass, int64_t length);

/* Keeps the first `length` tokens. */
void gpt_kv_cache_rewind(GptKvCache *cache, int64_t length);

/* Holds nothing, for no layer; the memory stays. */
void gpt_kv_cache_forget(GptKvCache *cache);

/* Makes `copy` (uninitialised) hold what cache holds. On failure it is empty. */
bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache);

#endif
