/*
 * The byte alphabet of GPT-2's files: each of the 256 bytes as one printable character, so that tokens can be written
 * as text. Bytes that are printable in Latin-1 stand for themselves, the others for U+0100 onwards in their order.
 */
#ifndef GPT_ALPHABET_H
#define GPT_ALPHABET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base/text.h"

#define GPT_ALPHABET_END 324 /* one past the last character used */

typedef struct GptAlphabet {
  uint16_t code[256];             /* the character of a byte */
  int16_t byte[GPT_ALPHABET_END]; /* the byte of a character, or -1 */
} GptAlphabet;

void gpt_alphabet_init(GptAlphabet *alphabet);

/* From characters (UTF-8) to bytes; out has room for n. False where a character is not of the alphabet. */
bool gpt_alphabet_read(const GptAlphabet *alphabet, const char *text, size_t n, uint8_t *out, size_t *length);

/* From bytes to characters, appended. */
void gpt_alphabet_write(const GptAlphabet *alphabet, const uint8_t *bytes, size_t n, GptText *out);

#endif
