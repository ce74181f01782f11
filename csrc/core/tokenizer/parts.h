/* What a tokenizer is made of, for the files that build one: loading, saving, training. */
#ifndef GPT_TOKENIZER_PARTS_H
#define GPT_TOKENIZER_PARTS_H

#include "core/tokenizer/cache.h"
#include "core/tokenizer/decode.h"
#include "core/tokenizer/merging.h"
#include "core/tokenizer/normalize.h"
#include "core/tokenizer/pretokenize.h"
#include "core/tokenizer/scanner.h"
#include "core/tokenizer/settings.h"
#include "core/tokenizer/specials.h"
#include "core/tokenizer/templates.h"
#include "core/tokenizer/tokenizer.h"

struct GptTokenizer {
  GptVocabulary vocabulary;
  GptMerges merges;
  float *scores;            /* [the vocabulary's size], of a GGUF file: neighbours merge by these; or NULL */
  bool characters;          /* words begin as characters (SentencePiece's kind), otherwise as bytes */
  bool ignore_merges;       /* a word that is a token stays whole */
  bool byte_fallback;       /* characters without a token become the tokens of their bytes, <0x0A> */
  bool fuse_unknown;        /* several characters without any token become one unknown one */
  int64_t unknown;          /* its id, or -1: they are left out */
  GptNormalizers normalizers;
  GptCuts cuts;
  GptDecoder decoder;
  GptSettings settings;     /* all this as tokenizer.json says it */
  int64_t roles[GPT_ROLES]; /* ids, or -1 */
  GptIds before, after;     /* the ids that the files put before and after a text */
  GptIds ends;              /* what ends a text, the role's token first */
  GptTemplates templates;   /* chat templates, as they came */
  /* made by gpt_tokenizer_finish: */
  GptByteTokens *bytes;
  uint32_t *order;          /* of scores, see merging.h */
  uint32_t *fallback;       /* [256] */
  GptMergeRules rules;      /* of all these */
  GptSpecials added[2];  /* tokens that always match in text: added ones that are no marks; [1]: in normalized text */
  GptSpecials marked[2]; /* those and the marks, for texts whose marks count */
  GptClasses *classes;
  GptCacheSlot *cache; /* [GPT_CACHE_SLOTS] */
  GptMergeSpace space;
};

/* An empty tokenizer, to be filled with tokens and merges. */
GptTokenizer *gpt_tokenizer_new(GptEnv *env);

/* Adds the merge of two tokens that the vocabulary has; what it makes must be there as well, and the pair be new. */
bool gpt_tokenizer_add_merge(GptEnv *env, GptTokenizer *tokenizer, int64_t left, int64_t right);

/* The id of an added or special token by its text, or -1. */
int64_t gpt_tokenizer_find(const GptTokenizer *tokenizer, const char *text, size_t n);

/* Marks a token as added, with those flags beside, and adds it where it is not there (id -1: with its own id, or else
   the next). A token that the vocabulary has under another id, or an id that belongs to another token, is an error. */
bool gpt_tokenizer_add_added(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const char *text, size_t n,
                             uint32_t flags);

/* Whether an added token of n bytes is not too long: texts are searched for it at every byte. */
bool gpt_tokenizer_check_added(GptEnv *env, const char *text, size_t n);

/* One more id that ends a text; those that are known stay where they are. False and a message where there are too many. */
bool gpt_tokenizer_add_end(GptTokenizer *tokenizer, int64_t id);

/* Makes it cut words as GPT-2's does. */
bool gpt_tokenizer_cut_as_gpt2(GptEnv *env, GptTokenizer *tokenizer);

/* The pairs that its scores amount to, in their order: each token's halves that are tokens themselves. */
bool gpt_merges_of_scores(GptEnv *env, const GptTokenizer *tokenizer, GptMerges *merges);

/* Makes it ready for use. */
bool gpt_tokenizer_finish(GptEnv *env, GptTokenizer *tokenizer);

#endif
