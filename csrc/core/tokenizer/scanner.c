#include "core/tokenizer/scanner.h"

#include <string.h>

#include "core/base/utf8.h"
#include "core/tokenizer/characters.h"

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

unsigned gpt_class_of(const GptClasses *classes, uint32_t code) {
  return code < GPT_CLASSES_END ? classes->packed[code >> 2] >> (code & 3) * 2 & 3 : OTHER;
}

/* A letter of A to Z as a small one, where case does not count. */
static inline uint8_t fold(uint8_t byte, GptContractions kind) {
  return kind != GPT_CONTRACTIONS_LOWER && byte >= 'A' && byte <= 'Z' ? byte | 0x20 : byte;
}

/* The length of a contraction's ending, its apostrophe included, or 0. */
static size_t contraction(const uint8_t *text, size_t at, size_t n, GptContractions kind) {
  if (text[at] != '\'' || at + 1 >= n) return 0;
  uint8_t first = fold(text[at + 1], kind);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if (at + 2 >= n) return 0;
  uint8_t second = fold(text[at + 2], kind);
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  bool long_s = kind == GPT_CONTRACTIONS_FOLDED && first == 0xc5 && second == 0xbf;
  return long_s ? 3 : 0;
}

/* The end of the characters of one class that go on at `at`. */
static size_t scan_run(const GptClasses *classes, const uint8_t *text, size_t at, size_t n, unsigned class) {
  size_t length;
  while (at < n && read_class(classes, text, at, n, &length) == class) at += length;
  return at;
}

static bool is_line_end(uint8_t byte) { return byte == '\n' || byte == '\r'; }

/* White space: all of it at the end of the text; otherwise all but its last character, which goes before the next
   word; but a single one stands alone. With `lines` it ends after its last line end. */
static size_t scan_space(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at,
                         size_t n) {
  size_t first = at, last = at, length, line = 0;
  unsigned class = SPACE;
  for (; at < n && (class = read_class(classes, text, at, n, &length)) == SPACE; at += length) {
    last = at;
    if (is_line_end(text[at])) line = at + 1;
  }
  if (rules->modern && line != 0) return line;
  bool ends = at == n || (rules->digits_apart && class == NUMBER);
  return ends || last == first ? at : last;
}

/* Numbers: so many, or all that follow. */
static size_t scan_numbers(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at,
                           size_t n) {
  size_t length;
  for (unsigned i = 0; at < n && (rules->digits == 0 || i < rules->digits); i++, at += length)
    if (read_class(classes, text, at, n, &length) != NUMBER) break;
  return at;
}

static size_t scan_symbols(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at,
                           size_t n) {
  at = scan_run(classes, text, at, n, OTHER);
  while (rules->modern && at < n && is_line_end(text[at])) at++;
  return at;
}

/* A word that begins with a character of that class at `at`, which may have gone before it. */
static inline size_t scan_class(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at,
                                size_t n, unsigned class) {
  if (class == LETTER) return scan_run(classes, text, at, n, LETTER);
  return class == NUMBER ? scan_numbers(classes, rules, text, at, n) : scan_symbols(classes, rules, text, at, n);
}

/* Whether a character at the beginning of a word may be followed by one of class `next` in it. */
static inline bool goes_before(const GptScanRules *rules, uint8_t byte, unsigned class, unsigned next) {
  if (rules->modern && next == LETTER) return class != NUMBER && !is_line_end(byte);
  if (byte != ' ' || next == SPACE) return false;
  return next != NUMBER || !(rules->modern || rules->digits_apart);
}

size_t gpt_scan_word(const GptClasses *classes, const GptScanRules *rules, const uint8_t *text, size_t at, size_t n) {
  size_t length, more, ending = contraction(text, at, n, rules->contractions);
  if (ending != 0) return at + ending;
  unsigned class = read_class(classes, text, at, n, &length);
  if (class != LETTER && class != NUMBER && at + length < n) {
    unsigned next = read_class(classes, text, at + length, n, &more);
    if (goes_before(rules, text[at], class, next)) return scan_class(classes, rules, text, at + length, n, next);
  }
  if (class == SPACE) return scan_space(classes, rules, text, at, n);
  return scan_class(classes, rules, text, at, n, class);
}

bool gpt_scan_space_before(const GptClasses *classes, const uint8_t *text, size_t end) {
  return gpt_scan_space_start(classes, text, end > 4 ? end - 4 : 0, end) < end;
}

size_t gpt_scan_space_after(const GptClasses *classes, const uint8_t *text, size_t at, size_t n) {
  return scan_run(classes, text, at, n, SPACE);
}

size_t gpt_scan_space_start(const GptClasses *classes, const uint8_t *text, size_t from, size_t end) {
  for (size_t length = 1, step; length <= 4 && length <= end - from; length++) {
    if (read_class(classes, text, end - length, end, &step) != SPACE || step != length) continue;
    end -= length;
    length = 0;
  }
  return end;
}
