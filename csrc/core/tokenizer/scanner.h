/*
 * The scanner cuts text into the words that merging never crosses, as GPT-2's pattern does:
 *   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
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

/* Fills the table: utf8proc's categories, corrected to those of Unicode 16, which tiktoken has. */
void gpt_classes_init(GptClasses *classes);

/* Where the word that begins at `at` ends (at < n). */
size_t gpt_scan_word(const GptClasses *classes, const uint8_t *text, size_t at, size_t n);

/* How many bytes behind a word's end decide where it ends: one character, or the letters of a contraction. */
#define GPT_SCAN_AHEAD 4

/* Whether the character that ends at `end` is white space. */
bool gpt_scan_space_before(const GptClasses *classes, const uint8_t *text, size_t end);

#endif
