#include "core/base/printable.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "core/base/utf8.h"

#define MOST_SHOWN 8 /* bytes of one character as it is shown: two escaped ones */

/* C0 and C1: a terminal takes U+009B for the beginning of a command. */
static bool is_control(uint32_t code) { return (code < 32 && code != '\n' && code != '\t') || (code >= 127 && code < 160); }

/* Writes one character, or a byte that begins none, and moves on behind it. Returns how many bytes it takes. */
static size_t show(char *out, const uint8_t **at, size_t left) {
  uint32_t code = 0;
  size_t length = gpt_utf8_decode(*at, left, &code), written = 0;
  bool escaped = length == 0 || is_control(code);
  if (length == 0) length = 1;
  for (size_t i = 0; i < length; i++) {
    if (escaped) written += (size_t)snprintf(out + written, 5, "\\x%02X", (*at)[i]);
    else out[written++] = (char)(*at)[i];
  }
  *at += length;
  return written;
}

void gpt_printable(char *out, size_t size, const char *text) {
  const uint8_t *at = (const uint8_t *)text, *end = at + strnlen(text, size); /* more than size bytes never fit */
  size_t length = 0, fits = 0; /* fits: the longest beginning with room for the dots */
  bool whole = *end == '\0';
  while (at < end) {
    char piece[MOST_SHOWN + 1];
    size_t more = show(piece, &at, (size_t)(end - at));
    if (length + more >= size) {
      whole = false;
      break;
    }
    memcpy(out + length, piece, more);
    length += more;
    if (length + 3 < size) fits = length;
  }
  strcpy(out + (whole ? length : fits), whole ? "" : "...");
}
