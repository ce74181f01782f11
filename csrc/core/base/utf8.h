/* UTF-8, one character at a time. */
#ifndef GPT_UTF8_H
#define GPT_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the character that begins s (n > 0 bytes) and its code point; 0 where none begins there:
   stray, missing or overlong bytes, surrogates, and everything past U+10FFFF. */
static inline size_t gpt_utf8_decode(const uint8_t *s, size_t n, uint32_t *code) {
  uint32_t a = s[0];
  if (a < 0x80) return *code = a, 1;
  if (a < 0xc2 || a > 0xf4 || n < 2 || (s[1] & 0xc0) != 0x80) return 0;
  if (a < 0xe0) return *code = (a & 0x1f) << 6 | (s[1] & 0x3f), 2;
  if (n < 3 || (s[2] & 0xc0) != 0x80) return 0;
  if (a < 0xf0) {
    uint32_t c = (a & 0x0f) << 12 | (uint32_t)(s[1] & 0x3f) << 6 | (s[2] & 0x3f);
    return *code = c, c < 0x800 || (c >= 0xd800 && c < 0xe000) ? 0 : 3;
  }
  if (n < 4 || (s[3] & 0xc0) != 0x80) return 0;
  uint32_t c = (a & 0x07) << 18 | (uint32_t)(s[1] & 0x3f) << 12 | (uint32_t)(s[2] & 0x3f) << 6 | (s[3] & 0x3f);
  return *code = c, c < 0x10000 || c > 0x10ffff ? 0 : 4;
}

/* Where the first bytes lie that are not UTF-8; n where all are. */
static inline size_t gpt_utf8_invalid(const uint8_t *s, size_t n) {
  uint32_t code;
  size_t at = 0, length;
  while (at < n && (length = gpt_utf8_decode(s + at, n - at, &code)) != 0) at += length;
  return at;
}

#endif
