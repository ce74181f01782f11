#include "core/tokenizer/tokenizer.h"

#include <string.h>

#include "core/io/json.h"
#include "core/base/memory.h"
#include "core/tokenizer/parts.h"

#define MOST_ENDS 256        /* ids that end a text */
#define MOST_ADDED_BYTES 1024 /* of an added token */

const char *const gpt_role_names[GPT_ROLES] = {"eos_token", "bos_token", "unk_token", "pad_token",
                                               "sep_token", "cls_token", "mask_token"};

GptTokenizer *gpt_tokenizer_new(GptEnv *env) {
  GptTokenizer *tokenizer = gpt_alloc_zeroed(env, sizeof *tokenizer);
  if (tokenizer == NULL) return NULL;
  gpt_vocabulary_init(&tokenizer->vocabulary);
  for (int role = 0; role < GPT_ROLES; role++) tokenizer->roles[role] = -1;
  tokenizer->unknown = -1;
  gpt_ids_init(&tokenizer->before, env);
  gpt_ids_init(&tokenizer->after, env);
  gpt_ids_init(&tokenizer->ends, env);
  return tokenizer;
}

void gpt_tokenizer_free(GptEnv *env, GptTokenizer *tokenizer) {
  if (tokenizer == NULL) return;
  gpt_vocabulary_free(env, &tokenizer->vocabulary);
  gpt_merges_free(env, &tokenizer->merges);
  gpt_normalizers_free(env, &tokenizer->normalizers);
  gpt_cuts_free(env, &tokenizer->cuts);
  gpt_settings_free(env, &tokenizer->settings);
  for (int i = 0; i < 2; i++) {
    gpt_specials_free(env, &tokenizer->added[i]);
    gpt_specials_free(env, &tokenizer->marked[i]);
  }
  gpt_merge_space_free(env, &tokenizer->space);
  gpt_ids_free(&tokenizer->before);
  gpt_ids_free(&tokenizer->after);
  gpt_ids_free(&tokenizer->ends);
  gpt_templates_free(env, &tokenizer->templates);
  gpt_free(env, tokenizer->scores);
  gpt_free(env, tokenizer->order);
  gpt_free(env, tokenizer->fallback);
  gpt_free(env, tokenizer->bytes);
  gpt_free(env, tokenizer->classes);
  gpt_free(env, tokenizer->cache);
  gpt_free(env, tokenizer);
}

size_t gpt_tokenizer_size(const GptTokenizer *tokenizer) { return tokenizer->vocabulary.size; }

int64_t gpt_tokenizer_role(const GptTokenizer *tokenizer, GptRole role) { return tokenizer->roles[role]; }

const GptIds *gpt_tokenizer_before(const GptTokenizer *tokenizer) { return &tokenizer->before; }

const GptIds *gpt_tokenizer_after(const GptTokenizer *tokenizer) { return &tokenizer->after; }

GptTemplates *gpt_tokenizer_templates(GptTokenizer *tokenizer) { return &tokenizer->templates; }

const GptIds *gpt_tokenizer_ends(const GptTokenizer *tokenizer) { return &tokenizer->ends; }

bool gpt_tokenizer_add_end(GptTokenizer *tokenizer, int64_t id) {
  GptIds *ends = &tokenizer->ends;
  for (size_t i = 0; i < ends->length; i++)
    if (ends->data[i] == id) return true;
  if (ends->length == MOST_ENDS) return gpt_fail(ends->env, "more than %d tokens end a text", MOST_ENDS);
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
  bool literal = !tokenizer->vocabulary.raw && !is_plain(text, n);
  return gpt_vocabulary_find(&tokenizer->vocabulary, (const uint8_t *)text, n, literal);
}

bool gpt_tokenizer_check_added(GptEnv *env, const char *text, size_t n) {
  char quoted[GPT_QUOTE_SIZE];
  return n <= MOST_ADDED_BYTES || gpt_fail(env, "the added token %s has %zu bytes; at most %d are allowed",
                                           gpt_quote(text, n, quoted), n, MOST_ADDED_BYTES);
}

bool gpt_tokenizer_add_added(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const char *text, size_t n,
                             uint32_t flags) {
  char quoted[GPT_QUOTE_SIZE];
  GptVocabulary *v = &tokenizer->vocabulary;
  bool literal = !v->raw && !is_plain(text, n);
  flags |= GPT_TOKEN_ADDED;
  int64_t known = gpt_tokenizer_find(tokenizer, text, n);
  gpt_quote(text, n, quoted);
  if (n == 0) return gpt_fail(env, "an added token is empty");
  if (!gpt_tokenizer_check_added(env, text, n)) return false;
  if (known < 0 && id < 0) id = (int64_t)v->size;
  if (known < 0)
    return gpt_vocabulary_add(env, v, id, (const uint8_t *)text, n, literal ? flags | GPT_TOKEN_LITERAL : flags);
  if (id >= 0 && id != known)
    return gpt_fail(env, "the token %s has two ids: %lld and %lld", quoted, (long long)known, (long long)id);
  v->tokens[known].flags |= flags;
  return true;
}

bool gpt_tokenizer_cut_as_gpt2(GptEnv *env, GptTokenizer *tokenizer) {
  return gpt_cuts_add(env, &tokenizer->cuts, GPT_CUT_SCAN) != NULL; /* its rules are all zero */
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
