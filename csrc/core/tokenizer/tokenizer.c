#include "core/tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

#include "core/io/json.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/parts.h"

const char *const gpt_role_names[GPT_ROLES] = {"eos_token", "bos_token", "unk_token", "pad_token",
                                               "sep_token", "cls_token", "mask_token"};

GptTokenizer *gpt_tokenizer_new(GptEnv *env) {
  GptTokenizer *tokenizer = gpt_alloc_zeroed(env, sizeof *tokenizer);
  if (tokenizer == NULL) return NULL;
  gpt_vocabulary_init(&tokenizer->vocabulary);
  for (int role = 0; role < GPT_ROLES; role++) tokenizer->roles[role] = -1;
  tokenizer->first = -1;
  gpt_ids_init(&tokenizer->ends, env);
  return tokenizer;
}

void gpt_tokenizer_free(GptEnv *env, GptTokenizer *tokenizer) {
  if (tokenizer == NULL) return;
  gpt_vocabulary_free(env, &tokenizer->vocabulary);
  gpt_merges_free(env, &tokenizer->merges);
  gpt_specials_free(env, &tokenizer->added);
  gpt_specials_free(env, &tokenizer->marked);
  gpt_merge_space_free(env, &tokenizer->space);
  gpt_ids_free(&tokenizer->ends);
  gpt_templates_free(env, &tokenizer->templates);
  gpt_free(env, tokenizer->bytes);
  gpt_free(env, tokenizer->classes);
  gpt_free(env, tokenizer->cache);
  gpt_free(env, tokenizer);
}

size_t gpt_tokenizer_size(const GptTokenizer *tokenizer) { return tokenizer->vocabulary.size; }

int64_t gpt_tokenizer_role(const GptTokenizer *tokenizer, GptRole role) { return tokenizer->roles[role]; }

int64_t gpt_tokenizer_first(const GptTokenizer *tokenizer) { return tokenizer->first; }

GptTemplates *gpt_tokenizer_templates(GptTokenizer *tokenizer) { return &tokenizer->templates; }

const GptIds *gpt_tokenizer_ends(const GptTokenizer *tokenizer) { return &tokenizer->ends; }

bool gpt_tokenizer_add_end(GptTokenizer *tokenizer, int64_t id) {
  GptIds *ends = &tokenizer->ends;
  for (size_t i = 0; i < ends->length; i++)
    if (ends->data[i] == id) return true;
  if (!gpt_ids_reserve(ends, 1)) return false;
  ends->data[ends->length++] = id;
  return true;
}

bool gpt_tokenizer_add_merge(GptEnv *env, GptTokenizer *tokenizer, int64_t left, int64_t right) {
  GptVocabulary *v = &tokenizer->vocabulary;
  uint32_t rank = gpt_merges_rank(&tokenizer->merges, (uint32_t)left, (uint32_t)right);
  if (rank != GPT_NO_RANK) return gpt_fail(env, "this pair is merge %u already", rank + 1);
  if ((v->tokens[left].flags | v->tokens[right].flags) & GPT_TOKEN_LITERAL)
    return gpt_fail(env, "a token that is not written in the byte alphabet cannot be merged");
  int64_t made = gpt_vocabulary_find_joined(env, v, left, right);
  if (made == -1) return gpt_fail(env, "the token that the two become is not in the vocabulary");
  if (made < 0) return false;
  return gpt_merges_add(env, &tokenizer->merges, (GptMerge){(uint32_t)left, (uint32_t)right, (uint32_t)made});
}

/* Printable ASCII is written in the byte alphabet as it is; any other text of an added token is literal. */
static bool is_plain(const char *text, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (text[i] <= 32 || text[i] >= 127) return false;
  return true;
}

int64_t gpt_tokenizer_find(const GptTokenizer *tokenizer, const char *text, size_t n) {
  return gpt_vocabulary_find(&tokenizer->vocabulary, (const uint8_t *)text, n, !is_plain(text, n));
}

bool gpt_tokenizer_add_added(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const char *text, size_t n,
                             bool special) {
  char quoted[GPT_QUOTE_SIZE];
  GptVocabulary *v = &tokenizer->vocabulary;
  bool plain = is_plain(text, n);
  uint32_t flags = special ? GPT_TOKEN_ADDED | GPT_TOKEN_SPECIAL : GPT_TOKEN_ADDED;
  int64_t known = gpt_tokenizer_find(tokenizer, text, n);
  gpt_quote(text, n, quoted);
  if (n == 0) return gpt_fail(env, "an added token is empty");
  if (known < 0 && id < 0) id = (int64_t)v->size;
  if (known < 0)
    return gpt_vocabulary_add(env, v, id, (const uint8_t *)text, n, plain ? flags : flags | GPT_TOKEN_LITERAL);
  if (id >= 0 && id != known)
    return gpt_fail(env, "the token %s has two ids: %lld and %lld", quoted, (long long)known, (long long)id);
  v->tokens[known].flags |= flags;
  return true;
}

static bool fail_missing_bytes(GptEnv *env, const bool *missing) {
  GptText list;
  int count = 0, shown = 0;
  gpt_text_init(&list, env);
  for (int b = 0; b < 256; b++) count += missing[b];
  for (int b = 0; b < 256 && shown < 8; b++)
    if (missing[b]) gpt_text_add(&list, "%s0x%02X", shown++ > 0 ? ", " : "", b);
  gpt_fail(env, "%d of the 256 single bytes are no token (%s%s), so not every text could be encoded", count,
           list.data != NULL ? list.data : "", count > shown ? ", ..." : "");
  gpt_text_free(&list);
  return false;
}

static bool find_bytes(GptEnv *env, GptTokenizer *tokenizer) {
  bool missing[256] = {false}, complete = true;
  for (int b = 0; b < 256; b++) {
    uint8_t byte = (uint8_t)b;
    int64_t id = gpt_vocabulary_find(&tokenizer->vocabulary, &byte, 1, false);
    missing[b] = id < 0;
    complete = complete && id >= 0;
    tokenizer->bytes->ids[b] = (uint32_t)id;
  }
  return complete || fail_missing_bytes(env, missing);
}

bool gpt_tokenizer_finish(GptEnv *env, GptTokenizer *tokenizer) {
  int64_t end = tokenizer->roles[GPT_ROLE_EOS];
  if (end >= 0 && !gpt_tokenizer_add_end(tokenizer, end)) return false;
  tokenizer->bytes = gpt_alloc(env, sizeof *tokenizer->bytes);
  if (tokenizer->bytes == NULL || !find_bytes(env, tokenizer)) return false;
  gpt_byte_tokens_rank(tokenizer->bytes, &tokenizer->merges);
  if (!gpt_specials_collect(env, &tokenizer->vocabulary, false, &tokenizer->added)) return false;
  if (!gpt_specials_collect(env, &tokenizer->vocabulary, true, &tokenizer->marked)) return false;
  tokenizer->classes = gpt_alloc(env, sizeof *tokenizer->classes);
  if (tokenizer->classes == NULL) return false;
  gpt_classes_init(tokenizer->classes);
  tokenizer->cache = gpt_alloc_array_zeroed(env, GPT_CACHE_SLOTS, sizeof *tokenizer->cache);
  return tokenizer->cache != NULL;
}

/* Appends the tokens of one word; `after` more bytes of text lie behind it. */
static inline bool encode_word(GptEnv *env, GptTokenizer *tokenizer, const uint8_t *word, size_t n, size_t after,
                               GptIds *out) {
  if (n > GPT_CACHED_BYTES)
    return gpt_merge_word(env, &tokenizer->merges, tokenizer->bytes, &tokenizer->space, word, n, out);
  GptCacheKey key = gpt_cache_key(tokenizer->cache, word, n, after);
  if (gpt_cache_holds(&key)) {
    if (!gpt_ids_reserve(out, GPT_CACHED_IDS)) return false;
    for (uint32_t i = 0; i < GPT_CACHED_IDS; i++) out->data[out->length + i] = key.slot->ids[i];
    out->length += key.slot->count;
    return true;
  }
  size_t first = out->length;
  if (!gpt_merge_word(env, &tokenizer->merges, tokenizer->bytes, &tokenizer->space, word, n, out)) return false;
  gpt_cache_put(&key, out->data + first, out->length - first);
  return true;
}

/* Appends the tokens of text[at, end), where nothing is special. */
static bool encode_plain(GptEnv *env, GptTokenizer *tokenizer, const uint8_t *text, size_t at, size_t end,
                         GptIds *out) {
  for (size_t next; at < end; at = next) {
    next = gpt_scan_word(tokenizer->classes, text, at, end);
    if (!encode_word(env, tokenizer, text + at, next - at, end - next, out)) return false;
  }
  return true;
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

/* The next added token from `at` on that counts: as gpt_specials_next. */
static int64_t next_added(const GptTokenizer *tokenizer, const GptMarks *marks, const uint8_t *text, size_t at, size_t n,
                          size_t *start, size_t *end) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  const GptSpecials *list = marks->count ? &tokenizer->marked : &tokenizer->added;
  for (;; at = *start + 1) {
    int64_t id = gpt_specials_next(list, v, text, at, n, start, end);
    if (id < 0 || !is_text_at(marks, *start)) return id;
    id = gpt_specials_match(&tokenizer->added, v, text + *start, n - *start); /* one that is no mark may begin there */
    if (id < 0) continue;
    *end = *start + v->tokens[id].length;
    return id;
  }
}

/* Appends the tokens of n bytes, in which the added tokens that count stand for themselves. */
static bool encode_text(GptEnv *env, GptTokenizer *tokenizer, const GptMarks *marks, const uint8_t *text, size_t n,
                        GptIds *out) {
  for (size_t at = 0, start, end; at < n; at = end) {
    int64_t id = next_added(tokenizer, marks, text, at, n, &start, &end);
    if (!encode_plain(env, tokenizer, text, at, start, out)) return false;
    if (id < 0) continue;
    if (!gpt_ids_reserve(out, 1)) return false;
    out->data[out->length++] = id;
  }
  return true;
}

bool gpt_tokenizer_encode(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t n, GptMarks marks,
                          GptIds *out) {
  size_t before = out->length;
  if (encode_text(env, tokenizer, &marks, (const uint8_t *)text, n, out)) return true;
  out->length = before;
  return false;
}

bool gpt_tokenizer_decoded_size(GptEnv *env, const GptTokenizer *tokenizer, const int64_t *ids, size_t count,
                                size_t *bytes) {
  *bytes = 0;
  for (size_t i = 0; i < count; i++) {
    const GptToken *token = gpt_vocabulary_token(&tokenizer->vocabulary, ids[i]);
    if (ids[i] < 0)
      return gpt_fail(env, "decode: ids[%zu]: %lld is no token id: ids start at 0", i + 1, (long long)ids[i]);
    if (token != NULL) *bytes += token->length;
  }
  return true;
}

void gpt_tokenizer_decode(const GptTokenizer *tokenizer, const int64_t *ids, size_t count, char *out) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  for (size_t i = 0; i < count; i++) {
    const GptToken *token = gpt_vocabulary_token(v, ids[i]);
    if (token == NULL) continue;
    memcpy(out, v->bytes + token->start, token->length);
    out += token->length;
  }
}

const char *gpt_tokenizer_token(GptEnv *env, const GptTokenizer *tokenizer, int64_t id, size_t *length) {
  const GptToken *token = gpt_vocabulary_token(&tokenizer->vocabulary, id);
  if (token == NULL)
    return gpt_fail_null(env, "no token has the id %lld (ids lie from 0 to %zu)", (long long)id,
                         tokenizer->vocabulary.size - 1);
  *length = token->length;
  return (const char *)tokenizer->vocabulary.bytes + token->start;
}

bool gpt_tokenizer_is_mark(const GptTokenizer *tokenizer, int64_t id) {
  const GptToken *token = gpt_vocabulary_token(&tokenizer->vocabulary, id);
  return token != NULL && (token->flags & GPT_TOKEN_SPECIAL) != 0;
}
