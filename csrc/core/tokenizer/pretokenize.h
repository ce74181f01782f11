/*
 * Pre-tokenizers: how a piece of text is cut into the words that merging never crosses, by the steps that a
 * tokenizer.json lists. Each step cuts (or rewrites) what the one before it left.
 */
#ifndef GPT_PRETOKENIZE_H
#define GPT_PRETOKENIZE_H

#include "core/base/text.h"
#include "core/tokenizer/budget.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/scanner.h"

typedef enum GptCutKind {
  GPT_CUT_SCAN,   /* words of the scanner */
  GPT_CUT_REGEX,  /* at what a pattern matches; `behavior` says how */
  GPT_CUT_DIGITS, /* at numbers, likewise */
  GPT_CUT_PREFIX, /* rewrites: a blank goes before a text that does not begin with one */
  GPT_CUT_BLANKS, /* rewrites blanks as `mark`, and puts one before (`scheme`) */
  GPT_CUT_MARKS,  /* before each run of `mark`, where no token reaches over it (`joins`) */
} GptCutKind;

/* What becomes of a match, as tokenizers names it. */
typedef enum GptCutBehavior {
  GPT_CUT_ISOLATED, GPT_CUT_REMOVED, GPT_CUT_MERGED_WITH_PREVIOUS, GPT_CUT_MERGED_WITH_NEXT, GPT_CUT_CONTIGUOUS,
  GPT_CUT_BEHAVIORS
} GptCutBehavior;

typedef enum GptBlankScheme { GPT_BLANK_ALWAYS, GPT_BLANK_FIRST, GPT_BLANK_NEVER } GptBlankScheme;

#define GPT_MARK_BYTES 15

typedef struct GptCut {
  GptCutKind kind;
  GptCutBehavior behavior;
  bool invert; /* what lies between matches counts as the matches */
  GptScanRules rules;
  GptRegex *regex;
  char mark[GPT_MARK_BYTES + 1];
  size_t mark_length;
  GptBlankScheme scheme;
  uint8_t joins[256 / 8]; /* of MARKS: bits of bytes after which a token may go on with a mark */
  GptText space;          /* what a step rewrote */
} GptCut;

#define GPT_MOST_CUTS 16

typedef struct GptCuts {
  GptCut list[GPT_MOST_CUTS]; /* [count] */
  size_t count;
} GptCuts;

/* A part of a text. Behind its n bytes lie `after` more that may be read. */
typedef struct GptSpan {
  const uint8_t *text;
  size_t n, after;
  bool first; /* the whole text begins with it */
} GptSpan;

/* Takes a word; false stops the cutting. */
typedef bool GptTakeWord(void *taker, GptSpan word);

void gpt_cuts_free(GptEnv *env, GptCuts *cuts);

/* Adds a step, to be filled in; NULL and a message where there are too many. */
GptCut *gpt_cuts_add(GptEnv *env, GptCuts *cuts, GptCutKind kind);

/* Cuts a piece and hands over its words, none of them empty. False also where the budget of the text does not last. */
bool gpt_cut_piece(GptEnv *env, GptCuts *cuts, const GptClasses *classes, GptBudget *budget, GptSpan piece,
                   GptTakeWord *take, void *taker);

#endif
