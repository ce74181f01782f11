/*
 * Finding added tokens (special ones too) in text: the longest that begins at the leftmost place. One that asks for it
 * takes the white space beside it along, or is found as a whole word only.
 */
#ifndef GPT_SPECIALS_H
#define GPT_SPECIALS_H

#include "core/tokenizer/scanner.h"
#include "core/tokenizer/vocabulary.h"

typedef struct GptSpecial {
  size_t start;    /* of its bytes, in the list's */
  uint32_t length;
  uint32_t id;
  uint32_t flags;  /* the token's */
} GptSpecial;

/* A node of the tree of their bytes. */
typedef struct GptSpecialNode {
  uint32_t children; /* the first; all lie side by side, in the order of their bytes */
  uint32_t special;  /* the one that ends here: its number in the list and 1, or 0 */
  uint16_t count;    /* of the children */
  uint8_t byte;      /* that leads here */
} GptSpecialNode;

typedef struct GptSpecials {
  GptSpecial *list; /* [count], in the order of their bytes */
  size_t count, capacity;
  uint8_t *bytes;
  size_t used, room;
  uint32_t longest; /* bytes */
  GptSpecialNode *nodes; /* the first is the root */
  uint32_t roots[256];   /* the node of what begins with that byte, or 0 */
} GptSpecials;

void gpt_specials_free(GptEnv *env, GptSpecials *specials);

/* Adds a token that is found as n > 0 bytes. */
bool gpt_specials_add(GptEnv *env, GptSpecials *specials, uint32_t id, uint32_t flags, const uint8_t *bytes, size_t n);

/* Makes the list ready, when all are there; of several of the same bytes the first one added counts. */
bool gpt_specials_settle(GptEnv *env, GptSpecials *specials);

/* One that was found. */
typedef struct GptFound {
  int64_t id;        /* -1: none */
  uint32_t flags;    /* the token's */
  size_t start, end; /* with the white space that it takes along; n where there is none */
  size_t own;        /* where its own bytes begin */
  size_t resume;     /* where the next is searched for: behind them */
} GptFound;

/* The next one from `at` on, without the white space beside it. */
GptFound gpt_specials_next(const GptSpecials *specials, const GptClasses *classes, const uint8_t *text, size_t at,
                           size_t n);

/* Takes the white space along, where the token asks for it, in the rest of a text that begins at `from`: behind what the
   one before it took along, so that no run of white space is read again for each token in it. */
void gpt_specials_widen(const GptClasses *classes, const uint8_t *text, size_t from, size_t n, GptFound *found);

/* The longest one that text, of n bytes, begins with, or NULL. */
const GptSpecial *gpt_specials_match(const GptSpecials *specials, const uint8_t *text, size_t n);

#endif
