/*
 * Merging: the bytes of one word become tokens (byte-pair encoding, Sennrich et al. 2016, arXiv:1508.07909): of all
 * neighbours that merge, those of the lowest rank do, the leftmost first, until none is left.
 * A heap of candidates over a linked list makes that O(n log n).
 */
#ifndef GPT_MERGING_H
#define GPT_MERGING_H

#include "core/tokenizer/ids.h"
#include "core/tokenizer/merges.h"

/* A token on its way, in the list of those that are left. Once merged into its left neighbour it has no rank. */
typedef struct GptPart {
  uint32_t id;
  uint32_t rank; /* of the merge with the next part, or GPT_NO_RANK */
  uint32_t previous, next;
} GptPart;

/* Memory that merging reuses; all zero to begin with. */
typedef struct GptMergeSpace {
  GptPart *parts;
  uint64_t *heap; /* rank, then position: the smallest number goes first */
  size_t capacity; /* bytes of a word */
} GptMergeSpace;

void gpt_merge_space_free(GptEnv *env, GptMergeSpace *space);

/* What every word begins with: the tokens of single bytes, and the ranks of their merges, which would otherwise be half
   of all that is looked up. */
typedef struct GptByteTokens {
  uint32_t ids[256];
  uint32_t ranks[256][256]; /* [left byte][right byte] */
} GptByteTokens;

/* Fills in the ranks from the ids. */
void gpt_byte_tokens_rank(GptByteTokens *bytes, const GptMerges *merges);

/* Appends the tokens of a word of n > 0 bytes. */
bool gpt_merge_word(GptEnv *env, const GptMerges *merges, const GptByteTokens *bytes, GptMergeSpace *space,
                    const uint8_t *word, size_t n, GptIds *out);

#endif
