#include "core/tokenizer/scanner.h"

#include <string.h>

#include "core/tokenizer/characters.h"
#include "core/base/utf8.h"

/* The class of the character at `at`, and its length. */
static inline unsigned read_class(const GptClasses *classes, const uint8_t *text, size_t at, size_t n, size_t *length) {
  uint32_t code = text[at];
  *length = 1;
  if (code >= 0x80) {
    *length = gpt_utf8_decode(text + at, n - at, &code);
    if (*length == 0) return *length = 1, OTHER;
    if (code >= GPT_CLASSES_END) return OTHER;
  }
  return classes->packed[code >> 2] >> (code & 3) * 2 & 3;
}

/* The length of a contraction's ending, its apostrophe included, or 0. */
static size_t contraction(const uint8_t *text, size_t at, size_t n) {
  if (text[at] != '\'' || at + 1 >= n) return 0;
  if (strchr("stmd", text[at + 1]) != NULL && text[at + 1] != '\0') return 2;
  if (at + 2 >= n) return 0;
  const char *pair = (const char *)text + at + 1;
  return memcmp(pair, "re", 2) == 0 || memcmp(pair, "ve", 2) == 0 || memcmp(pair, "ll", 2) == 0 ? 3 : 0;
}

/* The end of the characters of one class that go on at `at`. */
static size_t scan_run(const GptClasses *classes, const uint8_t *text, size_t at, size_t n, unsigned class) {
  size_t length;
  while (at < n && read_class(classes, text, at, n, &length) == class) at += length;
  return at;
}

/* White space: all of it at the end of the text; otherwise all but its last character, which goes before the next
   word; but a single one stands alone. */
static size_t scan_space(const GptClasses *classes, const uint8_t *text, size_t at, size_t n) {
  size_t first = at, last = at, length;
  while (at < n && read_class(classes, text, at, n, &length) == SPACE) last = at, at += length;
  return at == n || last == first ? at : last;
}

size_t gpt_scan_word(const GptClasses *classes, const uint8_t *text, size_t at, size_t n) {
  size_t length, ending = contraction(text, at, n);
  if (ending != 0) return at + ending;
  unsigned class = read_class(classes, text, at, n, &length);
  if (text[at] == ' ' && at + 1 < n) {
    unsigned next = read_class(classes, text, at + 1, n, &length);
    if (next != SPACE) return scan_run(classes, text, at + 1 + length, n, next);
  }
  if (class == SPACE) return scan_space(classes, text, at, n);
  return scan_run(classes, text, at + length, n, class);
}

bool gpt_scan_space_before(const GptClasses *classes, const uint8_t *text, size_t end) {
  size_t step;
  for (size_t length = 1; length <= 4 && length <= end; length++)
    if (read_class(classes, text, end - length, end, &step) == SPACE && step == length) return true;
  return false;
}
