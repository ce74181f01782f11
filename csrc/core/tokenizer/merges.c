#include "core/tokenizer/merges.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/slots.h"

#define RANK_BITS 24
#define RANK_MASK (((uint32_t)1 << RANK_BITS) - 1)

void gpt_merges_free(GptEnv *env, GptMerges *merges) {
  gpt_free(env, merges->list);
  gpt_free(env, merges->slots);
}

static inline uint64_t hash_merge(const GptMerges *m, uint32_t left, uint32_t right) {
  return gpt_hash_number(m->key, (uint64_t)left << 32 | right);
}

/* The slot of a pair, or the empty one where it would go. */
static inline size_t find_merge_slot(const GptMerges *m, uint32_t left, uint32_t right) {
  uint64_t h = hash_merge(m, left, right);
  uint32_t tag = (uint32_t)h & ~RANK_MASK;
  size_t mask = m->slot_count - 1, at = (size_t)(h >> 32) & mask;
  for (; m->slots[at] != 0; at = (at + 1) & mask) {
    if ((m->slots[at] & ~RANK_MASK) != tag) continue;
    const GptMerge *merge = &m->list[(m->slots[at] & RANK_MASK) - 1];
    if (merge->left == left && merge->right == right) break;
  }
  return at;
}

uint32_t gpt_merges_rank(const GptMerges *m, uint32_t left, uint32_t right) {
  if (m->count == 0) return GPT_NO_RANK;
  uint32_t slot = m->slots[find_merge_slot(m, left, right)];
  return slot == 0 ? GPT_NO_RANK : (slot & RANK_MASK) - 1;
}

static void fill_merge_slot(GptMerges *m, size_t rank) {
  const GptMerge *merge = &m->list[rank];
  uint32_t tag = (uint32_t)hash_merge(m, merge->left, merge->right) & ~RANK_MASK;
  m->slots[find_merge_slot(m, merge->left, merge->right)] = tag | ((uint32_t)rank + 1);
}

/* Room for one more; the hash table stays at most half full. */
static bool reserve_merge(GptEnv *env, GptMerges *m) {
  if (m->count + 1 >= RANK_MASK) return gpt_fail(env, "more than %u merges", RANK_MASK - 1);
  if (!GPT_GROW(env, m->list, m->capacity, m->count, 1)) return false;
  if ((m->count + 1) * 2 <= m->slot_count) return true;
  size_t count = m->slot_count == 0 ? 1024 : m->slot_count * 2;
  if (m->slot_count == 0) m->key = gpt_hash_key();
  if (!gpt_slots_renew(env, &m->slots, &m->slot_count, count)) return false;
  for (size_t rank = 0; rank < m->count; rank++) fill_merge_slot(m, rank);
  return true;
}

bool gpt_merges_add(GptEnv *env, GptMerges *m, GptMerge merge) {
  if (!reserve_merge(env, m)) return false;
  m->list[m->count] = merge;
  fill_merge_slot(m, m->count++);
  return true;
}
