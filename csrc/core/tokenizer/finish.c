/* What a tokenizer needs before it can be used, made of its tokens and merges. */
#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/tokenizer/parts.h"

static bool fail_missing_bytes(GptEnv *env, const GptByteTokens *bytes) {
  GptText list;
  int count = 0, shown = 0;
  gpt_text_init(&list, env);
  for (int b = 0; b < 256; b++) count += bytes->ids[b] == GPT_NO_TOKEN;
  for (int b = 0; b < 256 && shown < 8; b++)
    if (bytes->ids[b] == GPT_NO_TOKEN) gpt_text_add(&list, "%s0x%02X", shown++ > 0 ? ", " : "", b);
  gpt_fail(env, "%d of the 256 single bytes are no token (%s%s), so not every text could be encoded", count,
           list.data != NULL ? list.data : "", count > shown ? ", ..." : "");
  gpt_text_free(&list);
  return false;
}

/* Tokenizers that were trained on text alone lack bytes that it did not have, such as control characters: these are
   left out of texts. But letters, digits and signs of ASCII are in every text. */
static bool has_ascii(const GptByteTokens *bytes) {
  bool all = bytes->ids['\n'] != GPT_NO_TOKEN;
  for (int b = ' '; b < 127; b++) all = all && bytes->ids[b] != GPT_NO_TOKEN;
  return all;
}

static bool is_made(const GptTokenizer *tokenizer, int64_t id) {
  return id >= 0 && (tokenizer->order == NULL || tokenizer->order[id] != GPT_NO_RANK);
}

static bool find_bytes(GptEnv *env, GptTokenizer *tokenizer) {
  GptByteTokens *bytes = gpt_alloc(env, sizeof *bytes);
  tokenizer->bytes = bytes;
  if (bytes == NULL) return false;
  for (int b = 0; b < 256; b++) {
    uint8_t byte = (uint8_t)b;
    int64_t id = gpt_vocabulary_find(&tokenizer->vocabulary, &byte, 1, false);
    bytes->ids[b] = is_made(tokenizer, id) && (b < 128 || !tokenizer->characters) ? (uint32_t)id : GPT_NO_TOKEN;
  }
  if (!tokenizer->characters && tokenizer->unknown < 0 && !has_ascii(bytes)) return fail_missing_bytes(env, bytes);
  gpt_byte_tokens_rank(bytes, &tokenizer->merges);
  return true;
}

/* <0x00> to <0xFF> */
static bool find_fallback(GptEnv *env, GptTokenizer *tokenizer) {
  static const char digits[] = "0123456789ABCDEF";
  GptVocabulary *v = &tokenizer->vocabulary;
  if (!tokenizer->byte_fallback) return true;
  tokenizer->fallback = gpt_alloc_array(env, 256, sizeof *tokenizer->fallback);
  if (tokenizer->fallback == NULL) return false;
  for (int b = 0; b < 256; b++) {
    const char text[] = {'<', '0', 'x', digits[b >> 4], digits[b & 15], '>'};
    int64_t id = gpt_vocabulary_find(v, (const uint8_t *)text, sizeof text, false);
    tokenizer->fallback[b] = id < 0 ? GPT_NO_TOKEN : (uint32_t)id;
    if (id >= 0 && (v->tokens[id].flags & GPT_TOKEN_ADDED) == 0) v->tokens[id].flags |= GPT_TOKEN_BYTE;
  }
  return true;
}

static int compare_scores(const void *a, const void *b, void *context) {
  const float *scores = context;
  float x = scores[*(const uint32_t *)a], y = scores[*(const uint32_t *)b];
  return (x < y) - (x > y);
}

/* Ranks by score, the best first; equal scores have one rank. What stands for a byte is made by no merge, nor is what
   was added: it is found before, or a mark that the text does not mean. */
static bool order_scores(GptEnv *env, GptTokenizer *tokenizer) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  if (tokenizer->scores == NULL) return true;
  uint32_t *sorted = gpt_alloc_array(env, v->size, sizeof *sorted), count = 0, rank = 0;
  tokenizer->order = gpt_alloc_array(env, v->size, sizeof *tokenizer->order);
  if (sorted == NULL || tokenizer->order == NULL) return gpt_free(env, sorted), false;
  for (size_t id = 0; id < v->size; id++) {
    tokenizer->order[id] = GPT_NO_RANK;
    if (v->tokens[id].flags != 0 && (v->tokens[id].flags & (GPT_TOKEN_ADDED | GPT_TOKEN_BYTE)) == 0)
      sorted[count++] = (uint32_t)id;
  }
  qsort_r(sorted, count, sizeof *sorted, compare_scores, tokenizer->scores);
  for (uint32_t i = 0; i < count; i++) {
    if (i > 0 && tokenizer->scores[sorted[i]] < tokenizer->scores[sorted[i - 1]]) rank++;
    tokenizer->order[sorted[i]] = rank;
  }
  gpt_free(env, sorted);
  return true;
}

/* Whether merging may make a token: all may that pairs or scores name. */
static bool may_be_made(const GptTokenizer *tokenizer, size_t id) {
  uint32_t flags = tokenizer->vocabulary.tokens[id].flags;
  return tokenizer->order != NULL ? tokenizer->order[id] != GPT_NO_RANK : (flags & GPT_TOKEN_MODEL) != 0;
}

/* Notes after which bytes a token goes on with the mark. */
static void mark_joins(const GptTokenizer *tokenizer, GptCut *cut) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  for (size_t id = 0; id < v->size; id++) {
    if (v->tokens[id].flags == 0 || !may_be_made(tokenizer, id)) continue;
    const uint8_t *text = v->bytes + v->tokens[id].start;
    size_t n = v->tokens[id].length, length = cut->mark_length;
    for (size_t at = 1; at + length <= n; at++) {
      if (memcmp(text + at, cut->mark, length) != 0) continue;
      bool in_run = at >= length && memcmp(text + at - length, cut->mark, length) == 0;
      if (!in_run) cut->joins[text[at - 1] >> 3] |= (uint8_t)(1 << (text[at - 1] & 7));
    }
  }
}

/* SentencePiece's kind merges over the whole text. But no token reaches from one word into the next one's blank, or
   only behind a few characters; everywhere else the text may be cut, and words be remembered. */
static bool cut_at_marks(GptEnv *env, GptTokenizer *tokenizer) {
  if (!tokenizer->characters || tokenizer->ignore_merges) return true;
  GptCut *cut = gpt_cuts_add(env, &tokenizer->cuts, GPT_CUT_MARKS);
  if (cut == NULL) return false;
  cut->mark_length = strlen(strcpy(cut->mark, "\xe2\x96\x81"));
  mark_joins(tokenizer, cut);
  return true;
}

static void set_rules(GptTokenizer *tokenizer) {
  GptMergeRules *rules = &tokenizer->rules;
  *rules = (GptMergeRules){.merges = &tokenizer->merges, .bytes = tokenizer->bytes,
                           .vocabulary = &tokenizer->vocabulary, .characters = tokenizer->characters,
                           .order = tokenizer->order,
                           .fallback = tokenizer->fallback, .fuse_unknown = tokenizer->fuse_unknown};
  rules->unknown = tokenizer->unknown < 0 ? GPT_NO_TOKEN : (uint32_t)tokenizer->unknown;
  for (size_t id = 0; id < tokenizer->vocabulary.size; id++)
    if (tokenizer->vocabulary.tokens[id].length > rules->longest)
        rules->longest = tokenizer->vocabulary.tokens[id].length;
}

/* Adds an added token to the lists in which it is found, as the normalizers leave its text where it is found behind
   them. */
static bool list_added(GptEnv *env, GptTokenizer *tokenizer, size_t id, GptBudget *budget) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  const GptToken *token = &v->tokens[id];
  const uint8_t *text = v->bytes + token->start;
  size_t n = token->length;
  bool normalized = (token->flags & GPT_TOKEN_NORMALIZED) != 0 && tokenizer->normalizers.count > 0;
  if (normalized && !gpt_normalize(env, &tokenizer->normalizers, tokenizer->classes, budget, &text, &n)) return false;
  if (!gpt_tokenizer_check_added(env, (const char *)text, n)) return false;
  bool mark = (token->flags & GPT_TOKEN_SPECIAL) != 0;
  return n == 0 || (gpt_specials_add(env, &tokenizer->marked[normalized], (uint32_t)id, token->flags, text, n) &&
                    (mark || gpt_specials_add(env, &tokenizer->added[normalized], (uint32_t)id, token->flags, text,
                                              n)));
}

static bool is_added(const GptToken *token) { return (token->flags & GPT_TOKEN_ADDED) != 0; }

/* All added tokens together have the budget of one text. */
static bool list_all_added(GptEnv *env, GptTokenizer *tokenizer) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  size_t bytes = 0;
  for (size_t id = 0; id < v->size; id++)
    if (is_added(&v->tokens[id])) bytes += v->tokens[id].length;
  GptBudget budget = gpt_budget_of(bytes);
  for (size_t id = 0; id < v->size; id++)
    if (is_added(&v->tokens[id]) && !list_added(env, tokenizer, id, &budget))
      return gpt_fail_at(env, "added tokens: token %zu", id);
  for (int i = 0; i < 2; i++)
    if (!gpt_specials_settle(env, &tokenizer->added[i]) || !gpt_specials_settle(env, &tokenizer->marked[i]))
      return false;
  return true;
}

bool gpt_tokenizer_finish(GptEnv *env, GptTokenizer *tokenizer) {
  int64_t end = tokenizer->roles[GPT_ROLE_EOS];
  if (end >= 0 && !gpt_tokenizer_add_end(tokenizer, end)) return false;
  tokenizer->classes = gpt_alloc(env, sizeof *tokenizer->classes);
  if (tokenizer->classes == NULL) return false;
  gpt_classes_init(tokenizer->classes);
  if (!find_fallback(env, tokenizer) || !order_scores(env, tokenizer) || !find_bytes(env, tokenizer)) return false;
  if (!cut_at_marks(env, tokenizer) || !list_all_added(env, tokenizer)) return false;
  set_rules(tokenizer);
  tokenizer->cache = gpt_alloc_array_zeroed(env, GPT_CACHE_SLOTS, sizeof *tokenizer->cache);
  return tokenizer->cache != NULL;
}
