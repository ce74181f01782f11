/*
 * Merging: the bytes or characters of one word become tokens (byte-pair encoding, Sennrich et al. 2016,
 * arXiv:1508.07909): of all neighbours that merge, those of the lowest rank do, the leftmost first, until none is left.
 * A heap of candidates over a linked list makes that O(n log n).
 *
 * Which neighbours merge is said by a list of pairs, or, as in SentencePiece's models, by the vocabulary: any two whose
 * joined text is a token, that of the best score first.
 */
#ifndef GPT_MERGING_H
#define GPT_MERGING_H

#include "core/tokenizer/ids.h"
#include "core/tokenizer/merges.h"
#include "core/tokenizer/vocabulary.h"

#define GPT_NO_TOKEN UINT32_MAX

/* A token on its way, in the list of those that are left. Once merged into its left neighbour it has no rank. */
typedef struct GptPart {
  uint32_t id;
  uint32_t rank; /* of the merge with the next part, or GPT_NO_RANK */
  uint32_t previous, next;
  uint32_t start; /* in the word, where ranks are by text */
  uint32_t made;  /* what the merge with the next part makes */
} GptPart;

/* Memory that merging reuses; all zero to begin with. */
typedef struct GptMergeSpace {
  GptPart *parts;
  uint64_t *heap; /* rank, then position: the smallest number goes first */
  size_t capacity; /* bytes of a word */
} GptMergeSpace;

void gpt_merge_space_free(GptEnv *env, GptMergeSpace *space);

/* What words begin with: the tokens of single bytes (or of ASCII characters), and the ranks of their merges, which
   would otherwise be half of all that is looked up. */
typedef struct GptByteTokens {
  uint32_t ids[256];         /* GPT_NO_TOKEN: none */
  uint32_t ranks[256][256];  /* [left byte][right byte] */
} GptByteTokens;

/* Fills in the ranks from the ids. */
void gpt_byte_tokens_rank(GptByteTokens *bytes, const GptMerges *merges);

/* How words become tokens. */
typedef struct GptMergeRules {
  const GptMerges *merges;
  const GptByteTokens *bytes;
  const GptVocabulary *vocabulary;
  bool characters;          /* words begin as characters, otherwise as bytes */
  const uint32_t *order;    /* [size of the vocabulary]: ranks of tokens by their scores, GPT_NO_RANK: merging never
                               makes it; NULL: the list of pairs counts */
  size_t longest;           /* bytes of a token, where ranks are by text */
  const uint32_t *fallback; /* [256]: tokens of the bytes of a character that is none, GPT_NO_TOKEN for those that
                               have none; or NULL */
  uint32_t unknown;         /* the token of what is left, or GPT_NO_TOKEN: that is left out */
  bool fuse_unknown;        /* several unknown characters become one such token */
} GptMergeRules;

/* Appends the tokens of a word of n > 0 bytes. */
bool gpt_merge_word(GptEnv *env, const GptMergeRules *rules, GptMergeSpace *space, const uint8_t *word, size_t n,
                    GptIds *out);

#endif
