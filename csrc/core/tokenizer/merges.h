/* The merges: which two neighbouring tokens become one, and with what rank; the lowest rank goes first. */
#ifndef GPT_MERGES_H
#define GPT_MERGES_H

#include "core/base/env.h"
#include "core/base/hash.h"

#define GPT_NO_RANK UINT32_MAX

typedef struct GptMerge {
  uint32_t left, right; /* ids */
  uint32_t made;        /* the id that they become */
} GptMerge;

typedef struct GptMerges {
  GptMerge *list; /* [count], by rank */
  size_t count, capacity;
  uint32_t *slots; /* hash table: rank + 1 and above it 8 bits of the hash, so that most misses end here; or 0 */
  size_t slot_count;
  GptHashKey key;
} GptMerges;

void gpt_merges_free(GptEnv *env, GptMerges *merges);

/* Adds a merge of the next rank; its pair has none yet. */
bool gpt_merges_add(GptEnv *env, GptMerges *merges, GptMerge merge);

/* The rank of a pair, or GPT_NO_RANK. */
uint32_t gpt_merges_rank(const GptMerges *merges, uint32_t left, uint32_t right);

#endif
