/* From text to ids: added tokens are found first, what lies between is normalized and cut into words, and these are
   merged. */
#include <stdlib.h>
#include <string.h>

#include "core/tokenizer/parts.h"

typedef struct Encoding {
  GptEnv *env;
  GptTokenizer *tokenizer;
  const GptMarks *marks;
  GptBudget budget; /* of the whole text */
  GptIds *out;
} Encoding;

static bool add_id(GptIds *out, int64_t id) {
  if (!gpt_ids_reserve(out, 1)) return false;
  out->data[out->length++] = id;
  return true;
}

static bool merge(Encoding *e, GptSpan word) {
  GptTokenizer *tokenizer = e->tokenizer;
  if (tokenizer->ignore_merges) {
    int64_t id = gpt_vocabulary_find(&tokenizer->vocabulary, word.text, word.n, false);
    if (id >= 0 && (tokenizer->vocabulary.tokens[id].flags & GPT_TOKEN_MODEL) != 0) return add_id(e->out, id);
  }
  return gpt_merge_word(e->env, &tokenizer->rules, &tokenizer->space, word.text, word.n, e->out);
}

/* Appends the tokens of one word. */
static bool encode_word(void *encoding, GptSpan word) {
  Encoding *e = encoding;
  GptIds *out = e->out;
  if (word.n > GPT_CACHED_BYTES) return merge(e, word);
  GptCacheKey key = gpt_cache_key(e->tokenizer->cache, word.text, word.n, word.after);
  if (gpt_cache_holds(&key)) {
    if (!gpt_ids_reserve(out, GPT_CACHED_IDS)) return false;
    for (uint32_t i = 0; i < GPT_CACHED_IDS; i++) out->data[out->length + i] = key.slot->ids[i];
    out->length += key.slot->count;
    return true;
  }
  size_t first = out->length;
  if (!merge(e, word)) return false;
  gpt_cache_put(&key, out->length > first ? out->data + first : NULL, out->length - first);
  return true;
}

static bool encode_words(Encoding *e, GptSpan span) {
  return gpt_cut_piece(e->env, &e->tokenizer->cuts, e->tokenizer->classes, &e->budget, span, encode_word,
                       e);
}

static int compare_literal(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static bool is_text_at(const GptMarks *marks, size_t at) {
  int64_t place = (int64_t)at;
  return marks->literal_count > 0 &&
         bsearch(&place, marks->literal, marks->literal_count, sizeof place, compare_literal) != NULL;
}

/* Tokens that are found behind the normalizers. Where some places of the text are literal, no mark counts here: the
   places are those of the text before. */
static bool encode_normalized(Encoding *e, GptSpan span) {
  bool marks = e->marks->count && e->marks->literal_count == 0;
  const GptSpecials *list = marks ? &e->tokenizer->marked[1] : &e->tokenizer->added[1];
  if (list->count == 0) return encode_words(e, span);
  for (size_t from = 0, at = 0; from < span.n || at < span.n;) {
    GptFound found = gpt_specials_next(list, e->tokenizer->classes, span.text, at, span.n);
    gpt_specials_widen(e->tokenizer->classes, span.text, from, span.n, &found);
    if (found.start > from) {
      GptSpan text = {span.text + from, found.start - from, span.n - found.start + span.after, span.first && from == 0};
      if (!encode_words(e, text)) return false;
    }
    if (found.id >= 0 && !add_id(e->out, found.id)) return false;
    from = found.end;
    at = found.resume;
  }
  return true;
}

/* Text in which no added token stands as it is. */
static bool encode_piece(Encoding *e, GptSpan span) {
  GptTokenizer *tokenizer = e->tokenizer;
  if (span.n == 0) return true;
  if (tokenizer->normalizers.count == 0) return encode_normalized(e, span);
  if (!gpt_normalize(e->env, &tokenizer->normalizers, tokenizer->classes, &e->budget, &span.text, &span.n)) return false;
  span.after = 0;
  return encode_normalized(e, span);
}

/* The next added token from `at` on that counts: at a literal place none that is a mark does. */
static GptFound next_added(const Encoding *e, const uint8_t *text, size_t at, size_t n) {
  const GptTokenizer *tokenizer = e->tokenizer;
  const GptSpecials *list = e->marks->count ? &tokenizer->marked[0] : &tokenizer->added[0];
  for (;;) {
    GptFound found = gpt_specials_next(list, tokenizer->classes, text, at, n);
    if (found.id < 0 || !is_text_at(e->marks, found.own)) return found;
    at = found.own + 1;
    const GptSpecial *other = gpt_specials_match(&tokenizer->added[0], text + found.own, n - found.own);
    if (other == NULL || (other->flags & (GPT_TOKEN_WORD | GPT_TOKEN_LSTRIP | GPT_TOKEN_RSTRIP)) != 0) continue;
    size_t end = found.own + other->length; /* one that is no mark may begin there */
    return (GptFound){other->id, other->flags, found.own, end, found.own, end};
  }
}

/* Appends the tokens of n bytes, in which the added tokens that count stand for themselves: also where one begins in
   the white space that another took along, as in tokenizers. */
static bool encode_text(Encoding *e, const uint8_t *text, size_t n) {
  for (size_t from = 0, at = 0; from < n || at < n;) {
    GptFound found = next_added(e, text, at, n);
    gpt_specials_widen(e->tokenizer->classes, text, from, n, &found);
    GptSpan before = {text + from, found.start > from ? found.start - from : 0, n - found.start, from == 0};
    if (!encode_piece(e, before)) return false;
    if (found.id >= 0 && !add_id(e->out, found.id)) return false;
    from = found.end;
    at = found.resume;
  }
  return true;
}

bool gpt_tokenizer_encode(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t n, GptMarks marks,
                          GptIds *out) {
  size_t before = out->length;
  Encoding e = {env, tokenizer, &marks, gpt_budget_of(n), out};
  if (encode_text(&e, (const uint8_t *)text, n)) return true;
  out->length = before;
  return false;
}
