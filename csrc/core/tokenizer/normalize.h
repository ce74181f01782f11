/*
 * Normalizers of tokenizer.json: what is done to a text before it is cut into words. Each step rewrites the whole piece
 * of text. Bytes that are not UTF-8 stay as they are.
 */
#ifndef GPT_NORMALIZE_H
#define GPT_NORMALIZE_H

#include "core/base/text.h"
#include "core/tokenizer/budget.h"
#include "core/tokenizer/regex.h"
#include "core/tokenizer/scanner.h"

typedef enum GptNormalizerKind {
  GPT_NORMALIZE_NFC, GPT_NORMALIZE_NFD, GPT_NORMALIZE_NFKC, GPT_NORMALIZE_NFKD, /* Unicode's four forms */
  GPT_NORMALIZE_LOWERCASE,
  GPT_NORMALIZE_STRIP,   /* white space at the ends goes */
  GPT_NORMALIZE_PREPEND, /* content goes before a text that is not empty */
  GPT_NORMALIZE_REPLACE, /* what the pattern matches becomes content */
} GptNormalizerKind;

typedef struct GptNormalizer {
  GptNormalizerKind kind;
  bool left, right; /* of STRIP */
  GptRegex *pattern; /* of REPLACE */
  char *content;     /* of PREPEND and REPLACE: [length] */
  size_t length;
  uint8_t *inert; /* of the four forms: bits of characters that are normal, whatever stands beside them */
} GptNormalizer;

#define GPT_MOST_NORMALIZERS 32

typedef struct GptNormalizers {
  GptNormalizer list[GPT_MOST_NORMALIZERS]; /* [count] */
  size_t count;
  GptText spaces[2]; /* results, in turn */
} GptNormalizers;

void gpt_normalizers_free(GptEnv *env, GptNormalizers *normalizers);

/* Adds a step, to be filled in; NULL and a message where there are too many. */
GptNormalizer *gpt_normalizers_add(GptEnv *env, GptNormalizers *normalizers, GptNormalizerKind kind);

/* Sets the content of a step. */
bool gpt_normalizer_set_content(GptEnv *env, GptNormalizer *normalizer, const char *content, size_t n);

/* A character in lower case, and as a word begins with it, as Unicode has them for one character by itself. */
uint32_t gpt_character_lower(uint32_t code);
uint32_t gpt_character_title(uint32_t code);

/* Columns that a character takes in a terminal: 0, 1 or 2. */
int gpt_character_width(uint32_t code);

/* Does all steps; *text and *n are then the result's, which stays until the next call. False and a message where the
   budget of the text does not last. */
bool gpt_normalize(GptEnv *env, GptNormalizers *normalizers, const GptClasses *classes, GptBudget *budget,
                   const uint8_t **text, size_t *n);

#endif
