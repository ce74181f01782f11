/*
 * The key-value cache of one conversation. A slot belongs to a layer and one of its runs in a pass: a layer that is
 * used twice has two. In whatever order layers run, each finds its own.
 *
 * What claims and reserve add is for good once it is settled; a call that fails before that undoes it.
 *
 * A slot's keys and values lie in pages (ops/attention_pages.h). Nothing is copied where a
 * conversation grows; a copy of a cache shares the pages, and whoever writes into a shared one first takes a copy of it.
 */
#ifndef GPT_KV_CACHE_H
#define GPT_KV_CACHE_H

#include "core/base/array.h"
#include "core/base/env.h"
#include "core/ops/attention_pages.h"

/* What a slot held before the call under way; see gpt_kv_cache_settle. */
typedef struct GptKvSettled {
  int64_t n_pages;
  char *shared; /* the page that is the cache's own now; NULL: none */
  int64_t at;   /* and which it is */
  GptFormer pages;
} GptKvSettled;

typedef struct GptKvSlot {
  const void *owner; /* the layer it serves; NULL: none now, it is free */
  int before;        /* the slot of the layer's run before this one; -1: it serves the first */
  uint64_t pass;     /* the last pass that claimed it */
  int64_t length;    /* tokens it holds */
  int64_t n_heads, head_dim;
  int64_t n_pages; /* those behind the last token are nobody else's */
  size_t pages_capacity;
  char **pages; /* blocks of slabs (base/slab.h), counted by references */
  GptKvSettled settled;
} GptKvSlot;

typedef struct GptKvCache {
  GptEnv *env;
  GptDtype dtype;   /* of keys and values: f32, or f16 in half the memory; to be set before the first use */
  int64_t page_tokens;
  int64_t length;   /* tokens held by every slot that was claimed in all passes */
  int64_t reserved; /* tokens that every new slot gets pages for at once */
  int n_slots;
  size_t slots_capacity;
  GptKvSlot *slots;
  struct {
    int n_slots;
    GptFormer slots;
  } settled;
} GptKvCache;

/* Never to hold more than `most` tokens. */
void gpt_kv_cache_init(GptKvCache *cache, GptEnv *env, int64_t most);
void gpt_kv_cache_free(GptKvCache *cache); /* leaves it empty */

/* Makes pages for that many tokens in all, which stay until a rewind. To be settled, or undone on failure. */
bool gpt_kv_cache_reserve(GptKvCache *cache, int64_t tokens);

/* What a layer asks of a cache for its next run in a pass. */
typedef struct GptKvClaim {
  const void *owner;
  uint64_t pass; /* its number */
  int likely;    /* where the slot is, if the pass goes as the one before */
  int64_t n_heads, head_dim;
  int64_t tokens; /* in all, after the pass: pages for them are there, and nobody else's where they are to be written */
} GptKvClaim;

/* The slot, made at its first use. NULL and a message where the layer did not run so for the tokens that are held. */
GptKvSlot *gpt_kv_cache_claim(GptKvCache *cache, const GptKvClaim *claim);

/* After a pass that succeeded: what it claimed holds that many tokens in all. */
void gpt_kv_cache_commit(GptKvCache *cache, uint64_t pass, int64_t length);

/* The end of every call that may claim or reserve: all that was added stays, or none of it, and `length` tokens at most.
   Undoing needs no memory. */
void gpt_kv_cache_settle(GptKvCache *cache);
void gpt_kv_cache_undo(GptKvCache *cache, int64_t length);

/* Keeps the first `length` tokens; pages behind them go. */
void gpt_kv_cache_rewind(GptKvCache *cache, int64_t length);

/* Holds nothing, for no layer; what was reserved stays so. */
void gpt_kv_cache_forget(GptKvCache *cache);

/* Makes `copy` (uninitialised) hold what cache holds, in the same pages. On failure it is empty. */
bool gpt_kv_cache_copy(GptKvCache *copy, const GptKvCache *cache);

#endif
