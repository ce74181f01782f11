#include "core/tokenizer/pairs.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/slots.h"

void gpt_pairs_free(GptPairs *pairs) {
  for (size_t i = 0; i < pairs->count; i++) gpt_free(pairs->env, pairs->list[i].words);
  gpt_free(pairs->env, pairs->list);
  gpt_free(pairs->env, pairs->slots);
  gpt_free(pairs->env, pairs->touched);
  gpt_free(pairs->env, pairs->heap);
}

static size_t find_pair_slot(const GptPairs *pairs, uint32_t left, uint32_t right) {
  uint64_t h = gpt_hash_number(pairs->key, (uint64_t)left << 32 | right);
  size_t mask = pairs->slot_count - 1, at = (size_t)(h >> 32) & mask;
  for (; pairs->slots[at] != 0; at = (at + 1) & mask) {
    const GptPair *pair = &pairs->list[pairs->slots[at] - 1];
    if (pair->left == left && pair->right == right) break;
  }
  return at;
}

static bool grow_pair_slots(GptPairs *pairs) {
  size_t count = pairs->slot_count == 0 ? 4096 : 2 * pairs->slot_count;
  if (pairs->slot_count == 0) pairs->key = gpt_hash_key();
  if (!gpt_slots_renew(pairs->env, &pairs->slots, &pairs->slot_count, count)) return false;
  for (size_t i = 0; i < pairs->count; i++)
    pairs->slots[find_pair_slot(pairs, pairs->list[i].left, pairs->list[i].right)] = (uint32_t)i + 1;
  return true;
}

/* The pair, made if it is new; NULL without memory. */
static GptPair *find_pair(GptPairs *pairs, uint32_t left, uint32_t right) {
  if (2 * (pairs->count + 1) > pairs->slot_count && !grow_pair_slots(pairs)) return NULL;
  size_t slot = find_pair_slot(pairs, left, right);
  if (pairs->slots[slot] == 0) {
    if (!GPT_GROW(pairs->env, pairs->list, pairs->capacity, pairs->count, 1)) return NULL;
    pairs->list[pairs->count] = (GptPair){.left = left, .right = right};
    pairs->slots[slot] = (uint32_t)++pairs->count;
  }
  return &pairs->list[pairs->slots[slot] - 1];
}

static bool touch(GptPairs *pairs, GptPair *pair) {
  if (pair->touched) return true;
  if (!GPT_GROW(pairs->env, pairs->touched, pairs->touched_capacity, pairs->touched_count, 1)) return false;
  pairs->touched[pairs->touched_count++] = (uint32_t)(pair - pairs->list);
  return pair->touched = true;
}

bool gpt_pairs_add(GptPairs *pairs, uint32_t left, uint32_t right, uint32_t word, int64_t times) {
  GptPair *pair = find_pair(pairs, left, right);
  if (pair == NULL || !touch(pairs, pair)) return false;
  pair->count += times;
  if (pair->word_count > 0 && pair->words[pair->word_count - 1] == word) return true;
  if (!GPT_GROW(pairs->env, pair->words, pair->word_capacity, pair->word_count, 1)) return false;
  pair->words[pair->word_count++] = word;
  return true;
}

void gpt_pairs_remove(GptPairs *pairs, uint32_t left, uint32_t right, int64_t times) {
  size_t slot = find_pair_slot(pairs, left, right);
  pairs->list[pairs->slots[slot] - 1].count -= times;
}

/* a comes before b. */
static bool pair_before(const GptPairEntry *a, const GptPairEntry *b) {
  if (a->count != b->count) return a->count > b->count;
  return a->left != b->left ? a->left < b->left : a->right < b->right;
}

static void sift_pair_up(GptPairEntry *heap, size_t at, GptPairEntry entry) {
  for (size_t parent; at > 0 && pair_before(&entry, &heap[parent = (at - 1) / 2]); at = parent) heap[at] = heap[parent];
  heap[at] = entry;
}

static void sift_pair_down(GptPairEntry *heap, size_t count, GptPairEntry entry) {
  size_t at = 0;
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && pair_before(&heap[child + 1], &heap[child])) child++;
    if (!pair_before(&heap[child], &entry)) break;
    heap[at] = heap[child];
  }
  heap[at] = entry;
}

bool gpt_pairs_settle(GptPairs *pairs) {
  for (size_t i = 0; i < pairs->touched_count; i++) {
    GptPair *pair = &pairs->list[pairs->touched[i]];
    pair->touched = false;
    if (pair->count <= 0) continue;
    if (!GPT_GROW(pairs->env, pairs->heap, pairs->heap_capacity, pairs->heap_count, 1)) return false;
    sift_pair_up(pairs->heap, pairs->heap_count++,
            (GptPairEntry){pair->count, pair->left, pair->right, pairs->touched[i]});
  }
  pairs->touched_count = 0;
  return true;
}

GptPair *gpt_pairs_pop(GptPairs *pairs) {
  while (pairs->heap_count > 0) {
    GptPairEntry top = pairs->heap[0];
    GptPair *pair = &pairs->list[top.pair];
    bool current = top.count == pair->count;
    if (!current && pair->count > 0 && pair->count < top.count) {
      top.count = pair->count;
      sift_pair_down(pairs->heap, pairs->heap_count, top);
      continue;
    }
    GptPairEntry last = pairs->heap[--pairs->heap_count];
    if (pairs->heap_count > 0) sift_pair_down(pairs->heap, pairs->heap_count, last);
    if (current && pair->count > 0) return pair;
  }
  return NULL;
}
