/* Cutting text into slices whose ids are those of the whole: gpt_tokenizer_cut. */
#include "core/tokenizer/parts.h"

/* The last word's end in text[at, end) up to limit where a cut changes nothing, or at. Amid white space it would: how a
   run of it is cut into words depends on what follows the run. */
static size_t cut_words(const GptTokenizer *tokenizer, const uint8_t *text, size_t at, size_t end, size_t limit) {
  const GptScanRules *rules = &tokenizer->cuts.list[0].rules;
  size_t best = at;
  while (at < end) {
    at = gpt_scan_word(tokenizer->classes, rules, text, at, end);
    if (at > limit) break;
    if (!gpt_scan_space_before(tokenizer->classes, text, at)) best = at;
  }
  return best;
}

/* Whether a text is cut by the scanner alone, and no added token looks at what is beside it. Other ways of cutting may
   depend on all of a text: there the place of no cut is known. */
static bool is_scanned(const GptTokenizer *tokenizer, const GptSpecials *list) {
  uint32_t odd = GPT_TOKEN_LSTRIP | GPT_TOKEN_RSTRIP | GPT_TOKEN_WORD;
  if (tokenizer->cuts.count != 1 || tokenizer->cuts.list[0].kind != GPT_CUT_SCAN) return false;
  for (size_t i = 0; i < list->count; i++)
    if ((list->list[i].flags & odd) != 0) return false;
  return tokenizer->normalizers.count == 0;
}

/* Up to `limit` it is certain where added tokens begin and where words end, whatever follows the n bytes. */
size_t gpt_tokenizer_cut(const GptTokenizer *tokenizer, const char *text, size_t n, bool special) {
  const uint8_t *bytes = (const uint8_t *)text;
  const GptSpecials *list = special ? &tokenizer->marked[0] : &tokenizer->added[0];
  size_t ahead = (size_t)list->longest + GPT_SCAN_AHEAD, best = 0;
  if (n <= ahead || !is_scanned(tokenizer, list)) return 0;
  for (size_t at = 0, limit = n - ahead; at < limit;) {
    GptFound found = gpt_specials_next(list, tokenizer->classes, bytes, at, n);
    best = cut_words(tokenizer, bytes, at, found.start, limit);
    if (found.start >= limit) break;
    best = at = found.end;
  }
  return best;
}
