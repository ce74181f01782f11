/* Cutting text into slices whose ids are those of the whole: gpt_tokenizer_cut. */
#include "core/tokenizer/parts.h"

/* The last word's end in text[at, end) up to limit where a cut changes nothing, or at. Amid white space it would: how a
   run of it is cut into words depends on what follows the run. */
static size_t cut_words(const GptTokenizer *tokenizer, const uint8_t *text, size_t at, size_t end, size_t limit) {
  size_t best = at;
  while (at < end) {
    at = gpt_scan_word(tokenizer->classes, text, at, end);
    if (at > limit) break;
    if (!gpt_scan_space_before(tokenizer->classes, text, at)) best = at;
  }
  return best;
}

/* Up to `limit` it is certain where added tokens begin and where words end, whatever follows the n bytes. */
size_t gpt_tokenizer_cut(const GptTokenizer *tokenizer, const char *text, size_t n, bool special) {
  const uint8_t *bytes = (const uint8_t *)text;
  const GptSpecials *list = special ? &tokenizer->marked : &tokenizer->added;
  size_t ahead = (size_t)list->longest + GPT_SCAN_AHEAD, best = 0;
  if (n <= ahead) return 0;
  for (size_t at = 0, start, end, limit = n - ahead; at < limit; at = end) {
    gpt_specials_next(list, &tokenizer->vocabulary, bytes, at, n, &start, &end);
    best = cut_words(tokenizer, bytes, at, start, limit);
    if (start >= limit) break;
    best = end;
  }
  return best;
}
