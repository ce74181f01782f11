/* Ranges of characters as ranges of bytes: the edges of UTF-8. */
#include "core/generate/grammar_parts.h"

static size_t utf8_write(uint32_t code, uint8_t out[4]) {
  if (code < 0x80) return out[0] = (uint8_t)code, 1;
  if (code < 0x800) return out[0] = (uint8_t)(0xc0 | code >> 6), out[1] = (uint8_t)(0x80 | (code & 0x3f)), 2;
  size_t n = code < 0x10000 ? 3 : 4;
  for (size_t i = n; i-- > 1; code >>= 6) out[i] = (uint8_t)(0x80 | (code & 0x3f));
  out[0] = (uint8_t)((n == 3 ? 0xe0 : 0xf0) | code);
  return n;
}

/* Edges for the n-byte sequences from low to high, which take every value between in all bytes but the first. */
static bool add_sequence(GptGrammar *grammar, int64_t from, const uint8_t *low, const uint8_t *high, size_t n,
                         int64_t to) {
  for (size_t i = 0; i < n; i++) {
    int64_t next = i + 1 == n ? to : gpt_grammar_add_state(grammar);
    if (next < 0 || !gpt_grammar_add_bytes(grammar, from, low[i], high[i], next)) return false;
    from = next;
  }
  return true;
}

/* The greatest code point up to `high` at which a sequence that begins with low can end so that add_sequence's rule
   holds: all its last bytes run over their whole range, or low and high share the bytes before them. */
static uint32_t sequence_end(uint32_t low, uint32_t high) {
  static const uint32_t last[] = {0x7f, 0x7ff, 0xd7ff, 0xffff, 0x10ffff};
  for (int i = 0; i < 5; i++)
    if (low <= last[i] && high > last[i]) high = last[i];
  for (uint32_t mask = 0x3f; mask <= 0x3ffff && low >= 0x80; mask = mask << 6 | 0x3f) {
    if ((low & ~mask) == (high & ~mask)) break;
    if ((low & mask) != 0) return low | mask;
    if ((high & mask) != mask) high = (high & ~mask) - 1;
  }
  return high;
}

bool gpt_grammar_add_characters(GptGrammar *grammar, int64_t from, uint32_t low, uint32_t high, int64_t to) {
  while (low <= high) {
    uint8_t first[4], last[4];
    if (low >= 0xd800 && low <= 0xdfff) low = 0xe000;
    if (low > high) break;
    uint32_t end = sequence_end(low, high);
    size_t n = utf8_write(low, first);
    utf8_write(end, last);
    if (!add_sequence(grammar, from, first, last, n, to)) return false;
    low = end + 1;
  }
  return true;
}
