/*
 * The key-value cache of one conversation. A slot belongs to a call of attention in the pass (the n-th), so a layer
 * that is used twice has two; which layer a slot serves is checked at every call.
 */
#ifndef GPT_KV_CACHE_H
#define GPT_KV_CACHE_H

#include "core/base/env.h"

typedef struct GptKvSlot {
  const void *owner; /* the layer it serves */
  int64_t n_heads, head_dim;
  int64_t capacity;     /* tokens there is room for */
  float *keys, *values; /* [n_heads, capacity, head_dim] */
} GptKvSlot;

typedef struct GptKvCache {
  GptEnv *env;
  int64_t length;   /* tokens held by every slot */
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

/* Slot n for a layer, made at its first use; NULL and a message where it serves another layer. */
GptKvSlot *gpt_kv_cache_slot(GptKvCache *cache, int n, const void *owner, int64_t n_heads, int64_t head_dim);

/* Makes `copy` (uninitialised) hold what cache holds. On failure it is empty. */
bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache);

#endif
