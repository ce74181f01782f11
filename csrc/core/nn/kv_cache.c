#include "core/nn/kv_cache.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/slab.h"

void gpt_kv_cache_init(GptKvCache *cache, GptEnv *env, int64_t most) {
  *cache = (GptKvCache){.env = env, .page_tokens = most < GPT_PAGE_TOKENS ? most : GPT_PAGE_TOKENS};
}

static int64_t pages_of(const GptKvCache *cache, int64_t tokens) {
  return (tokens + cache->page_tokens - 1) / cache->page_tokens;
}

/* Keeps the first n pages. */
static void cut_pages(GptEnv *env, GptKvSlot *slot, int64_t n) {
  while (slot->n_pages > n) gpt_slab_release(env, slot->pages[--slot->n_pages]);
}

/* The same, of those that were settled too. */
static void drop_pages(GptEnv *env, GptKvSlot *slot, int64_t n) {
  cut_pages(env, slot, n);
  if (slot->settled.n_pages > n) slot->settled.n_pages = n;
}

static void settle_slot(GptEnv *env, GptKvSlot *slot) {
  if (slot->settled.shared != NULL) gpt_slab_release(env, slot->settled.shared);
  gpt_former_free(env, &slot->settled.pages);
  slot->settled.shared = NULL, slot->settled.n_pages = slot->n_pages;
}

static void undo_slot(GptEnv *env, GptKvSlot *slot) {
  cut_pages(env, slot, slot->settled.n_pages);
  if (slot->settled.shared != NULL) {
    gpt_slab_release(env, slot->pages[slot->settled.at]);
    slot->pages[slot->settled.at] = slot->settled.shared;
  }
  GPT_FORMER_RESTORE(env, slot->pages, slot->pages_capacity, (size_t)slot->n_pages, &slot->settled.pages);
  slot->settled.shared = NULL;
}

static void free_slot(GptEnv *env, GptKvSlot *slot) {
  settle_slot(env, slot);
  cut_pages(env, slot, 0);
  gpt_free(env, slot->pages);
}

void gpt_kv_cache_settle(GptKvCache *cache) {
  for (int i = 0; i < cache->n_slots; i++) settle_slot(cache->env, &cache->slots[i]);
  gpt_former_free(cache->env, &cache->settled.slots);
  cache->settled.n_slots = cache->n_slots;
}

/* Slots as they are now, but for those that are new. */
static void undo_slots(GptKvCache *cache) {
  while (cache->n_slots > cache->settled.n_slots) free_slot(cache->env, &cache->slots[--cache->n_slots]);
  GPT_FORMER_RESTORE(cache->env, cache->slots, cache->slots_capacity, (size_t)cache->n_slots, &cache->settled.slots);
}

void gpt_kv_cache_undo(GptKvCache *cache, int64_t length) {
  undo_slots(cache);
  for (int i = 0; i < cache->n_slots; i++) {
    GptKvSlot *slot = &cache->slots[i];
    if (slot->length > length) slot->length = length;
    undo_slot(cache->env, slot);
  }
  if (cache->length > length) cache->length = length;
}

void gpt_kv_cache_free(GptKvCache *cache) {
  gpt_former_free(cache->env, &cache->settled.slots);
  for (int i = 0; i < cache->n_slots; i++) free_slot(cache->env, &cache->slots[i]);
  gpt_free(cache->env, cache->slots);
  *cache = (GptKvCache){.env = cache->env, .dtype = cache->dtype, .page_tokens = cache->page_tokens};
}

static char *new_page(const GptKvCache *cache, const GptKvSlot *slot) {
  size_t bytes = gpt_key_page_bytes(cache->dtype, cache->page_tokens, slot->n_heads, slot->head_dim);
  return gpt_slab_alloc(cache->env, bytes);
}

/* Copies the first tokens of a page, of every head's keys and values. */
static void copy_tokens(const GptKvCache *cache, const GptKvSlot *slot, char *to, const char *from,
                        int64_t tokens) {
  size_t head = gpt_dtype_bytes(cache->dtype, cache->page_tokens * slot->head_dim);
  size_t bytes = gpt_dtype_bytes(cache->dtype, tokens * slot->head_dim);
  for (size_t h = 0; h < 2 * (size_t)slot->n_heads; h++) memcpy(to + h * head, from + h * head, bytes);
}

/* Makes page n, whose first `tokens` hold something, this cache's own. */
static bool own_page(const GptKvCache *cache, GptKvSlot *slot, int64_t n, int64_t tokens) {
  char *shared = slot->pages[n];
  if (!gpt_slab_shared(shared)) return true;
  char *own = new_page(cache, slot);
  if (own == NULL) return false;
  copy_tokens(cache, slot, own, shared, tokens);
  slot->settled.shared = shared, slot->settled.at = n;
  slot->pages[n] = own;
  return true;
}

/* Makes pages for that many tokens in all, and those behind the tokens that are held the cache's own. */
static bool make_pages(const GptKvCache *cache, GptKvSlot *slot, int64_t tokens) {
  int64_t needed = pages_of(cache, tokens), begun = slot->length / cache->page_tokens;
  if (begun < slot->n_pages && !own_page(cache, slot, begun, slot->length % cache->page_tokens)) return false;
  if (needed <= slot->n_pages) return true;
  if (!GPT_GROW_KEEPING(cache->env, slot->pages, slot->pages_capacity, slot->n_pages, needed - slot->n_pages,
                        &slot->settled.pages))
    return false;
  while (slot->n_pages < needed) {
    char *page = new_page(cache, slot);
    if (page == NULL) return false;
    slot->pages[slot->n_pages++] = page;
  }
  return true;
}

bool gpt_kv_cache_reserve(GptKvCache *cache, int64_t tokens) {
  for (int i = 0; i < cache->n_slots; i++)
    if (cache->slots[i].owner != NULL && !make_pages(cache, &cache->slots[i], tokens)) return false;
  if (cache->reserved < tokens) cache->reserved = tokens;
  return true;
}

/* Is slot n the one of the owner's next run in this pass? */
static bool is_next(const GptKvCache *cache, int n, const GptKvClaim *claim) {
  const GptKvSlot *slot = &cache->slots[n];
  return slot->owner == claim->owner && slot->pass != claim->pass &&
         (slot->before < 0 || cache->slots[slot->before].pass == claim->pass);
}

/* From the likely one on, and round: where a pass leaves layers out, or runs more, the others keep their order. */
static int find_next(const GptKvCache *cache, const GptKvClaim *claim) {
  for (int i = 0; i < cache->n_slots; i++) {
    int n = (claim->likely + i) % cache->n_slots;
    if (is_next(cache, n, claim)) return n;
  }
  return -1;
}

/* The slot of the owner's last run so far in this pass; -1 where it did not run. */
static int last_run(const GptKvCache *cache, const GptKvClaim *claim) {
  int n = cache->n_slots - 1;
  while (n >= 0 && (cache->slots[n].owner != claim->owner || cache->slots[n].pass != claim->pass)) n--;
  return n;
}

/* Gives the owner a slot without tokens: the likely one where it is free, else a new one. */
static GptKvSlot *new_run(GptKvCache *cache, const GptKvClaim *claim) {
  int before = last_run(cache, claim);
  bool free = claim->likely < cache->n_slots && cache->slots[claim->likely].owner == NULL;
  if (!free && !GPT_GROW_KEEPING(cache->env, cache->slots, cache->slots_capacity, cache->n_slots, 1,
                                 &cache->settled.slots))
    return NULL;
  GptKvSlot *slot = &cache->slots[free ? claim->likely : cache->n_slots];
  if (!free) *slot = (GptKvSlot){.owner = NULL}, cache->n_slots++;
  slot->owner = claim->owner, slot->before = before, slot->pass = 0, slot->length = 0;
  slot->n_heads = claim->n_heads, slot->head_dim = claim->head_dim;
  return slot;
}

/* A run that was not there for the tokens before has no keys of them. */
static GptKvSlot *missing(const GptKvCache *cache) {
  return gpt_fail_null(
      cache->env,
      "attention: this layer did not run, or not as often, for the %lld tokens before, so that their keys "
      "are missing; a forward that runs its parts now and then cannot be positionwise",
      (long long)cache->length);
}

/* An owner of a slot without tokens may come back with other heads. */
static bool check_heads(const GptKvCache *cache, GptKvSlot *slot, const GptKvClaim *claim) {
  if (slot->n_heads == claim->n_heads && slot->head_dim == claim->head_dim) return true;
  if (slot->length > 0)
    return gpt_fail(cache->env, "attention: %lld heads of %lld here, but %lld of %lld before, in the same layer",
                    (long long)claim->n_heads, (long long)claim->head_dim, (long long)slot->n_heads,
                    (long long)slot->head_dim);
  drop_pages(cache->env, slot, 0);
  slot->n_heads = claim->n_heads, slot->head_dim = claim->head_dim;
  return true;
}

GptKvSlot *gpt_kv_cache_claim(GptKvCache *cache, const GptKvClaim *claim) {
  int n = find_next(cache, claim);
  GptKvSlot *slot = n >= 0 ? &cache->slots[n] : NULL;
  if (slot == NULL && cache->length > 0) return missing(cache);
  if (slot == NULL && (slot = new_run(cache, claim)) == NULL) return NULL;
  if (slot->length < cache->length) return missing(cache);
  if (!check_heads(cache, slot, claim)) return NULL;
  if (!make_pages(cache, slot, claim->tokens > cache->reserved ? claim->tokens : cache->reserved)) return NULL;
  slot->pass = claim->pass;
  return slot;
}

void gpt_kv_cache_commit(GptKvCache *cache, uint64_t pass, int64_t length) {
  for (int n = 0; n < cache->n_slots; n++)
    if (cache->slots[n].pass == pass) cache->slots[n].length = length;
  cache->length = length;
}

void gpt_kv_cache_rewind(GptKvCache *cache, int64_t length) {
  for (int n = 0; n < cache->n_slots; n++) {
    if (cache->slots[n].length > length) cache->slots[n].length = length;
    drop_pages(cache->env, &cache->slots[n], pages_of(cache, cache->slots[n].length));
  }
  if (cache->length > length) cache->length = length;
  cache->reserved = 0;
}

void gpt_kv_cache_forget(GptKvCache *cache) {
  int64_t reserved = cache->reserved;
  gpt_kv_cache_rewind(cache, 0);
  cache->reserved = reserved;
  for (int n = 0; n < cache->n_slots; n++) cache->slots[n].owner = NULL;
}

/* Makes *to like from, in the same pages. False without memory. */
static bool share_slot(const GptKvCache *cache, GptKvSlot *to, const GptKvSlot *from) {
  int64_t held = pages_of(cache, from->length);
  *to = *from;
  to->n_pages = 0, to->pages_capacity = 0, to->pages = NULL, to->settled = (GptKvSettled){0};
  if (!GPT_GROW(cache->env, to->pages, to->pages_capacity, 0, held)) return false;
  for (; to->n_pages < held; to->n_pages++) to->pages[to->n_pages] = gpt_slab_retain(from->pages[to->n_pages]);
  return true;
}

bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache) {
  *copy = (GptKvCache){.env = cache->env, .dtype = cache->dtype, .page_tokens = cache->page_tokens};
  bool done = GPT_GROW(copy->env, copy->slots, copy->slots_capacity, 0, cache->n_slots);
  for (; done && copy->n_slots < cache->n_slots; copy->n_slots += done)
    done = share_slot(copy, &copy->slots[copy->n_slots], &cache->slots[copy->n_slots]);
  copy->length = cache->length;
  gpt_kv_cache_settle(copy);
  if (!done) gpt_kv_cache_free(copy);
  return done;
}
