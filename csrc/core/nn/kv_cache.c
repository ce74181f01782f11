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
  *cache = (GptKvCache){.env = cache->env, .most = cache->most, .dtype = cache->dtype};
}

/* Copies the slot's tokens of every head; token: bytes of a token in one head. */
static void copy_tokens(char *to, int64_t to_capacity, const char *from, const GptKvSlot *slot, size_t token) {
  for (size_t h = 0; slot->length > 0 && h < (size_t)slot->n_heads; h++)
    memcpy(to + h * (size_t)to_capacity * token, from + h * (size_t)slot->capacity * token,
           (size_t)slot->length * token);
}

/* Makes *to like from, whatever its arrays are, with room for `capacity` tokens and a copy of those it holds. */
static bool new_slot(const GptKvCache *cache, GptKvSlot *to, const GptKvSlot *from, int64_t capacity) {
  GptEnv *env = cache->env;
  size_t token = gpt_dtype_bytes(cache->dtype, from->head_dim);
  size_t bytes = gpt_size_multiply((size_t)from->n_heads * token, (size_t)capacity);
  void *keys = gpt_alloc(env, bytes), *values = keys != NULL ? gpt_alloc(env, bytes) : NULL;
  if (values == NULL) {
    gpt_free(env, keys);
    return false;
  }
  copy_tokens(keys, capacity, from->keys, from, token);
  copy_tokens(values, capacity, from->values, from, token);
  *to = *from;
  to->capacity = capacity;
  to->keys = keys;
  to->values = values;
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
    if (!new_slot(cache, &grown, &cache->slots[i], capacity)) return false;
    free_slot(cache->env, &cache->slots[i]);
    cache->slots[i] = grown;
  }
  cache->capacity = capacity;
  return true;
}

/* Is slot n the one of the owner's next run in this pass? */
static bool is_next(const GptKvCache *cache, int n, uint64_t pass, const void *owner) {
  if (n < 0 || n >= cache->n_slots) return false;
  const GptKvSlot *slot = &cache->slots[n];
  return slot->owner == owner && slot->pass != pass && (slot->before < 0 || cache->slots[slot->before].pass == pass);
}

static int find_next(const GptKvCache *cache, uint64_t pass, int likely, const void *owner) {
  if (is_next(cache, likely, pass, owner)) return likely;
  for (int n = 0; n < cache->n_slots; n++)
    if (is_next(cache, n, pass, owner)) return n;
  return -1;
}

/* The slot of the owner's last run so far in this pass; -1 where it did not run. */
static int last_run(const GptKvCache *cache, uint64_t pass, const void *owner) {
  int n = cache->n_slots - 1;
  while (n >= 0 && (cache->slots[n].owner != owner || cache->slots[n].pass != pass)) n--;
  return n;
}

/* Gives the owner a slot: the likely one where it is free, else a new one. */
static GptKvSlot *new_run(GptKvCache *cache, int likely, GptKvSlot like) {
  GptKvSlot fresh;
  int n = likely < cache->n_slots && cache->slots[likely].owner == NULL ? likely : cache->n_slots;
  if (!GPT_GROW(cache->env, cache->slots, cache->slots_capacity, cache->n_slots, 1)) return NULL;
  if (!new_slot(cache, &fresh, &like, cache->capacity)) return NULL;
  if (n < cache->n_slots) free_slot(cache->env, &cache->slots[n]);
  else cache->n_slots++;
  cache->slots[n] = fresh;
  return &cache->slots[n];
}

/* A run that was not there for the tokens before has no keys of them. */
static GptKvSlot *missing(const GptKvCache *cache) {
  return gpt_fail_null(
      cache->env,
      "attention: this layer did not run, or not as often, for the %lld tokens before, so that their keys "
      "are missing; a forward that runs its parts now and then cannot be positionwise",
      (long long)cache->length);
}

GptKvSlot *gpt_kv_cache_claim(GptKvCache *cache, uint64_t pass, int likely, const void *owner, int64_t n_heads,
                              int64_t head_dim) {
  int n = find_next(cache, pass, likely, owner);
  GptKvSlot *slot = n >= 0 ? &cache->slots[n] : NULL;
  if (slot == NULL && cache->length > 0) return missing(cache);
  if (slot == NULL) {
    GptKvSlot like = {.owner = owner, .n_heads = n_heads, .head_dim = head_dim};
    like.before = last_run(cache, pass, owner);
    slot = new_run(cache, likely, like);
    if (slot == NULL) return NULL;
  }
  if (slot->length < cache->length) return missing(cache);
  if (slot->n_heads != n_heads || slot->head_dim != head_dim)
    return gpt_fail_null(cache->env, "attention: %lld heads of %lld here, but %lld of %lld before, in the same layer",
                         (long long)n_heads, (long long)head_dim, (long long)slot->n_heads, (long long)slot->head_dim);
  slot->pass = pass;
  return slot;
}

void gpt_kv_cache_commit(GptKvCache *cache, uint64_t pass, int64_t length) {
  for (int n = 0; n < cache->n_slots; n++)
    if (cache->slots[n].pass == pass) cache->slots[n].length = length;
  cache->length = length;
}

void gpt_kv_cache_rewind(GptKvCache *cache, int64_t length) {
  for (int n = 0; n < cache->n_slots; n++)
    if (cache->slots[n].length > length) cache->slots[n].length = length;
  if (cache->length > length) cache->length = length;
}

void gpt_kv_cache_forget(GptKvCache *cache) {
  gpt_kv_cache_rewind(cache, 0);
  for (int n = 0; n < cache->n_slots; n++) cache->slots[n].owner = NULL;
}

bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache) {
  gpt_kv_cache_init(copy, cache->env, cache->most);
  copy->dtype = cache->dtype;
  bool done = GPT_GROW(copy->env, copy->slots, copy->slots_capacity, 0, cache->n_slots);
  for (int i = 0; i < cache->n_slots && done; i++) {
    done = new_slot(cache, &copy->slots[i], &cache->slots[i], cache->capacity);
    if (done) copy->n_slots++;
  }
  copy->length = cache->length;
  copy->capacity = cache->capacity;
  if (!done) gpt_kv_cache_free(copy);
  return done;
}
