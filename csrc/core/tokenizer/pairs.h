/*
 * How often pairs of neighbouring tokens occur, and which is the most frequent: while merges are learned.
 *
 * A heap holds each pair with the count it had when it was put there. Counts that have sunk since are put right
 * when they come to the top, so a change costs nothing until it matters.
 */
#ifndef GPT_PAIRS_H
#define GPT_PAIRS_H

#include "core/base/env.h"
#include "core/base/hash.h"

typedef struct GptPair {
  uint32_t left, right;
  int64_t count;
  uint32_t *words; /* [word_count]: where it may occur; the last ones added stand last */
  size_t word_capacity;
  uint32_t word_count;
  bool touched; /* has grown since it was last put into the heap */
} GptPair;

typedef struct GptPairEntry {
  int64_t count;
  uint32_t left, right;
  uint32_t pair;
} GptPairEntry;

typedef struct GptPairs {
  GptEnv *env;
  GptPair *list; /* [count] */
  size_t count, capacity;
  uint32_t *slots; /* hash table: a pair's number + 1, or 0 */
  size_t slot_count;
  GptHashKey key;
  uint32_t *touched; /* [touched_count]: the pairs that are */
  size_t touched_count, touched_capacity;
  GptPairEntry *heap; /* [heap_count] */
  size_t heap_count, heap_capacity;
} GptPairs;

void gpt_pairs_free(GptPairs *pairs);

/* `times` more of a pair, in that word. */
bool gpt_pairs_add(GptPairs *pairs, uint32_t left, uint32_t right, uint32_t word, int64_t times);

/* `times` less of a pair that was added. */
void gpt_pairs_remove(GptPairs *pairs, uint32_t left, uint32_t right, int64_t times);

/* Puts every pair that has grown into the heap. */
bool gpt_pairs_settle(GptPairs *pairs);

/* Takes the most frequent pair out of the heap, of equally frequent ones that with the lowest left id, then the lowest
   right id; NULL where none is left. It stays valid until the next pair is added. */
GptPair *gpt_pairs_pop(GptPairs *pairs);

#endif
