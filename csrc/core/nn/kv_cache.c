#include "core/nn/kv_cache.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

#define SMALLEST 64 /* tokens */

void gpt_kv_cache_init(GptKvCache *cache, GptEnv *env, int64_t context_length) {
  *cache = (GptKvCache){.env = env, .most = context_length};
}

static void free_slot(GptEnv *env, GptKvSlot *slot) {
  gpt_free(env, slot->keys);
  gpt_free(env, slot->values);
}

void gpt_kv_cache_free(GptKvCache *cache) {
  for (int i = 0; i < cache->n_slots; i++) free_slot(cache->env, &cache->slots[i]);
  gpt_free(cache->env, cache->slots);
  gpt_kv_cache_init(cache, cache->env, cache->most);
}

/* Copies the first `length` tokens of every head. */
static void copy_tokens(float *to, int64_t to_capacity, const float *from, const GptKvSlot *slot, int64_t length) {
  for (int64_t h = 0; length > 0 && h < slot->n_heads; h++)
    memcpy(to + h * to_capacity * slot->head_dim, from + h * slot->capacity * slot->head_dim,
           (size_t)(length * slot->head_dim) * sizeof *to);
}

/* Makes *to like from, with room for `capacity` tokens and a copy of the first `length`. */
static bool new_slot(GptEnv *env, GptKvSlot *to, const GptKvSlot *from, int64_t capacity, int64_t length) {
  size_t bytes = gpt_size_multiply(from->n_heads * from->head_dim * sizeof(float), capacity);
  float *keys = gpt_alloc(env, bytes), *values = keys != NULL ? gpt_alloc(env, bytes) : NULL;
  if (values == NULL) {
    gpt_free(env, keys);
    return false;
  }
  copy_tokens(keys, capacity, from->keys, from, length);
  copy_tokens(values, capacity, from->values, from, length);
  *to = (GptKvSlot){from->owner, from->n_heads, from->head_dim, capacity, keys, values};
  return true;
}

/* Grows by half at least, so that a long conversation is copied rarely; slot by slot, so that little is held twice. */
bool gpt_kv_cache_reserve(GptKvCache *cache, int64_t tokens) {
  if (tokens <= cache->capacity) return true;
  int64_t capacity = cache->capacity + cache->capacity / 2;
  if (capacity < SMALLEST) capacity = SMALLEST;
  if (capacity < tokens) capacity = tokens;
  if (capacity > cache->most) capacity = cache->most;
  for (int i = 0; i < cache->n_slots; i++) {
    GptKvSlot grown;
    if (cache->slots[i].capacity >= capacity) continue;
    if (!new_slot(cache->env, &grown, &cache->slots[i], capacity, cache->length)) return false;
    free_slot(cache->env, &cache->slots[i]);
    cache->slots[i] = grown;
  }
  cache->capacity = capacity;
  return true;
}

/* While nothing is held, slot n may be given to whichever layer asks. */
static bool assign_slot(GptKvCache *cache, int n, const GptKvSlot *like) {
  GptKvSlot fresh;
  if (!GPT_GROW(cache->env, cache->slots, cache->slots_capacity, cache->n_slots, 1)) return false;
  if (!new_slot(cache->env, &fresh, like, cache->capacity, 0)) return false;
  if (n < cache->n_slots) free_slot(cache->env, &cache->slots[n]);
  else cache->n_slots++;
  cache->slots[n] = fresh;
  return true;
}

static bool serves(const GptKvCache *cache, int n, const GptKvSlot *like) {
  if (n >= cache->n_slots) return false;
  const GptKvSlot *slot = &cache->slots[n];
  return slot->owner == like->owner && slot->n_heads == like->n_heads && slot->head_dim == like->head_dim;
}

GptKvSlot *gpt_kv_cache_slot(GptKvCache *cache, int n, const void *owner, int64_t n_heads, int64_t head_dim) {
  GptKvSlot like = {.owner = owner, .n_heads = n_heads, .head_dim = head_dim};
  if (!serves(cache, n, &like)) {
    if (cache->length > 0)
      return gpt_fail_null(cache->env,
                           "attention call %d of this pass is not the layer that the session began with; "
                           "a model whose layers were exchanged needs a new session",
                           n + 1);
    if (!assign_slot(cache, n, &like)) return NULL;
  }
  return &cache->slots[n];
}

bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache) {
  gpt_kv_cache_init(copy, cache->env, cache->most);
  bool done = GPT_GROW(copy->env, copy->slots, copy->slots_capacity, 0, cache->n_slots);
  for (int i = 0; i < cache->n_slots && done; i++) {
    done = new_slot(cache->env, &copy->slots[i], &cache->slots[i], cache->capacity, cache->length);
    if (done) copy->n_slots++;
  }
  copy->length = cache->length;
  copy->capacity = cache->capacity;
  if (!done) gpt_kv_cache_free(copy);
  return done;
}
