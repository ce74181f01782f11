/*
 * The scanner cuts text into the words that merging never crosses. Patterns of one kind do that in most tokenizers;
 * they differ in a few places only, which GptScanRules has. GPT-2's is
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
 * and that of GPT-4's first tokenizer, which Llama 3's is too,
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
 * It reads each character at most twice. Bytes that are not UTF-8 count as characters that are neither letter,
 * number nor space, one byte each.
 */
#ifndef GPT_SCANNER_H
#define GPT_SCANNER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GPT_CLASSES_END 0x323b0 /* no letter and no number lies beyond */

/* What kind of character each code point is: 2 bits each. */
typedef struct GptClasses {
  uint8_t packed[GPT_CLASSES_END / 4];
} GptClasses;

/* Which endings of contractions are words: 's 't 're 've 'm 'll 'd. */
typedef enum GptContractions {
  GPT_CONTRACTIONS_LOWER,  /* as written */
  GPT_CONTRACTIONS_ASCII,  /* and with A to Z */
  GPT_CONTRACTIONS_FOLDED, /* and with the long s, which folds to s */
} GptContractions;

typedef struct GptScanRules {
  GptContractions contractions;
  bool modern;        /* as GPT-4's: any one character but line ends and numbers goes before letters (otherwise: a space
                         before letters and numbers), symbols take the line ends after them, and white space is cut
                         after its last line end */
  uint8_t digits;     /* most numbers in a word; 0: any */
  bool digits_apart;  /* the text is first cut before and after each number */
} GptScanRules;

/* Fills the table: utf8proc's categories, corrected to those of Unicode 16, which tiktoken and tokenizers have. */
void gpt_classes_init(GptClasses *classes);

/* GPT_SPACE and so on of characters.h. */
unsigned gpt_class_of(const GptClasses *classes, uint32_t code);

/* Whether \w matches a character. */
bool gpt_is_word_character(const GptClasses *classes, uint32_t code);

/* Where the word that begins at `at` ends (at < n). */
size_t gpt_scan_word(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at, size_t n);

/* How many bytes behind a word's end decide where it ends: one character, or the letters of a contraction. */
#define GPT_SCAN_AHEAD 4

/* Whether the character that ends at `end` is white space. */
bool gpt_scan_space_before(const GptClasses *classes, const uint8_t *text, size_t end);

/* Where the white space that begins at `at` ends, and where that begins which ends at `end`, not before `from`. */
size_t gpt_scan_space_after(const GptClasses *classes, const uint8_t *text, size_t at, size_t n);
size_t gpt_scan_space_start(const GptClasses *classes, const uint8_t *text, size_t from, size_t end);

#endif
