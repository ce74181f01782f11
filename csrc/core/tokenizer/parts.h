/* What a tokenizer is made of, for the files that build one: loading, saving, training. */
#ifndef GPT_TOKENIZER_PARTS_H
#define GPT_TOKENIZER_PARTS_H

#include "core/tokenizer/cache.h"
#include "core/tokenizer/merging.h"
#include "core/tokenizer/scanner.h"
#include "core/tokenizer/specials.h"
#include "core/tokenizer/templates.h"
#include "core/tokenizer/tokenizer.h"

struct GptTokenizer {
  GptVocabulary vocabulary;
  GptMerges merges;
  int64_t roles[GPT_ROLES]; /* ids, or -1 */
  int64_t first;            /* the id with which a prompt is to begin, or -1 */
  GptIds ends;              /* what ends a text, the role's token first */
  GptTemplates templates;   /* chat templates, as they came */
  /* made by gpt_tokenizer_finish: */
  GptByteTokens *bytes;
  GptSpecials added;  /* tokens that always match in text: added ones that are no marks */
  GptSpecials marked; /* those and the marks, for texts whose marks count */
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

/* Marks a token as added, and adds it where it is not there (id -1: with its own id, or else the next). A token that the vocabulary has
   under another id, or an id that belongs to another token, is an error. */
bool gpt_tokenizer_add_added(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const char *text, size_t n,
                             bool special);

/* One more id that ends a text; those that are known stay where they are. */
bool gpt_tokenizer_add_end(GptTokenizer *tokenizer, int64_t id);

/* Makes it ready for use. Every single byte must be a token, so that every text can be encoded. */
bool gpt_tokenizer_finish(GptEnv *env, GptTokenizer *tokenizer);

#endif
