/* A tokenizer as the metadata of a GGUF file. */
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/io/json.h"
#include "core/tokenizer/gguf.h"
#include "core/tokenizer/gguf_keys.h"
#include "core/tokenizer/gguf_pre.h"
#include "core/tokenizer/parts.h"

/* Writing: little-endian, as the format is. */
static void write_u32(GptText *out, uint32_t value) { gpt_text_add_bytes(out, (const char *)&value, sizeof value); }

static void write_u64(GptText *out, uint64_t value) { gpt_text_add_bytes(out, (const char *)&value, sizeof value); }

static void write_string(GptText *out, const char *bytes, size_t n) {
  write_u64(out, n);
  gpt_text_add_bytes(out, bytes, n);
}

static void write_key(GptText *out, const char *key, GptGgufType type) {
  write_string(out, key, strlen(key));
  write_u32(out, type);
}

static void write_list(GptText *out, const char *key, GptGgufType item, size_t count) {
  write_key(out, key, GPT_GGUF_ARRAY);
  write_u32(out, item);
  write_u64(out, count);
}

/* A string whose bytes `write` appends: its length is put in afterwards. */
static size_t begin_string(GptText *out) {
  write_u64(out, 0);
  return out->length;
}

static void end_string(GptText *out, size_t start) {
  uint64_t length = out->length - start;
  if (!out->failed) memcpy(out->data + start - sizeof length, &length, sizeof length);
}

/* A literal token as it is, any other in the byte alphabet. */
static void write_token(GptText *out, const GptVocabulary *v, size_t id) {
  size_t start = begin_string(out);
  if (gpt_vocabulary_token(v, (int64_t)id) != NULL) gpt_vocabulary_spell(v, (int64_t)id, out);
  else gpt_text_add(out, "[PAD%zu]", id);
  end_string(out, start);
}

static int32_t token_type(const GptToken *token) {
  if (token == NULL || (token->flags & GPT_TOKEN_UNUSED) != 0) return GPT_GGUF_TOKEN_UNUSED;
  if ((token->flags & GPT_TOKEN_BYTE) != 0) return GPT_GGUF_TOKEN_BYTE;
  if ((token->flags & GPT_TOKEN_SPECIAL) != 0) return GPT_GGUF_TOKEN_CONTROL;
  return (token->flags & GPT_TOKEN_ADDED) != 0 ? GPT_GGUF_TOKEN_USER_DEFINED : GPT_GGUF_TOKEN_NORMAL;
}

static void write_merge(GptText *out, const GptVocabulary *v, const GptMerge *merge) {
  size_t start = begin_string(out);
  gpt_vocabulary_spell(v, merge->left, out);
  gpt_text_add(out, " ");
  gpt_vocabulary_spell(v, merge->right, out);
  end_string(out, start);
}

/* Writes the key of an id, where there is one; returns how many keys. */
static int write_id(GptText *out, const char *key, int64_t id) {
  if (key == NULL || id < 0) return 0;
  write_key(out, key, GPT_GGUF_U32);
  write_u32(out, (uint32_t)id);
  return 1;
}

static int write_flag(GptText *out, const char *key, bool value) {
  write_key(out, key, GPT_GGUF_BOOL);
  gpt_text_add_bytes(out, value ? "\1" : "\0", 1);
  return 1;
}

/* The format puts one id before a text and one after it: those of the roles. */
static int write_roles(GptText *out, const GptTokenizer *tokenizer) {
  int written = 0;
  bool bos = tokenizer->before.length > 0, eos = tokenizer->after.length > 0;
  for (int role = 0; role < GPT_ROLES; role++)
    written += write_id(out, gpt_gguf_role_keys[role], tokenizer->roles[role]);
  if (bos || tokenizer->characters) written += write_flag(out, GPT_GGUF_ADD_BOS, bos);
  if (eos) written += write_flag(out, GPT_GGUF_ADD_EOS, true);
  return written;
}

static int write_ends(GptText *out, const GptTokenizer *tokenizer) {
  int written = 0;
  for (size_t i = 0; i < tokenizer->ends.length && written < GPT_GGUF_END_KEYS; i++)
    if (tokenizer->ends.data[i] != tokenizer->roles[GPT_ROLE_EOS])
      written += write_id(out, gpt_gguf_end_keys[written], tokenizer->ends.data[i]);
  return written;
}

/* All but the default one, which is the model's to write. */
static int write_gguf_templates(GptText *out, const GptTemplates *templates) {
  int written = 0;
  for (size_t i = 0; i < templates->count; i++) {
    char key[128];
    const GptTemplate *each = &templates->list[i];
    if (strcmp(each->name, GPT_TEMPLATE_DEFAULT) == 0 || strlen(each->name) > 64) continue;
    snprintf(key, sizeof key, "tokenizer.chat_template.%s", each->name);
    write_key(out, key, GPT_GGUF_STRING);
    write_string(out, each->text, each->length);
    written++;
  }
  return written;
}

/* Whether a blank goes before every text. */
static bool has_space_prefix(const GptTokenizer *tokenizer) {
  for (size_t i = 0; i < tokenizer->normalizers.count; i++)
    if (tokenizer->normalizers.list[i].kind == GPT_NORMALIZE_PREPEND) return true;
  for (size_t i = 0; i < tokenizer->cuts.count; i++)
    if (tokenizer->cuts.list[i].kind == GPT_CUT_BLANKS) return tokenizer->cuts.list[i].scheme != GPT_BLANK_NEVER;
  return false;
}

/* Scores by the first merge that makes a token; what none makes comes last. */
static bool write_scores(GptEnv *env, GptText *out, const GptTokenizer *tokenizer, size_t size) {
  float *scores = gpt_alloc_array(env, size, sizeof *scores);
  if (scores == NULL) return false;
  for (size_t id = 0; id < size; id++) scores[id] = -1e9f;
  for (size_t rank = tokenizer->merges.count; rank-- > 0;) scores[tokenizer->merges.list[rank].made] = -(float)rank;
  for (size_t id = 0; tokenizer->scores != NULL && id < tokenizer->vocabulary.size; id++)
      scores[id] = tokenizer->scores[id];
  write_list(out, "tokenizer.ggml.scores", GPT_GGUF_F32, size);
  gpt_text_add_bytes(out, (const char *)scores, size * sizeof *scores);
  gpt_free(env, scores);
  return true;
}

/* Our own words for what the format has none for. */
static int write_own(GptText *out, const GptTokenizer *tokenizer) {
  const GptSettings *settings = &tokenizer->settings;
  if (settings->canonical || settings->root.length == 0) return 0;
  write_key(out, GPT_GGUF_OWN, GPT_GGUF_STRING);
  size_t start = begin_string(out);
  gpt_text_add(out, "{");
  gpt_text_add_bytes(out, settings->root.data, settings->root.length);
  gpt_text_add(out, "\"model\": {");
  if (settings->model.length > 0) gpt_text_add_bytes(out, settings->model.data, settings->model.length);
  gpt_text_add(out, "\"luagpt\": true}}");
  end_string(out, start);
  return 1;
}

static int write_text_key(GptText *out, const char *key, const char *text) {
  write_key(out, key, GPT_GGUF_STRING);
  write_string(out, text, strlen(text));
  return 1;
}

static int write_kind(GptText *out, const GptTokenizer *tokenizer) {
  const GptPre *pre = gpt_gguf_pre_of(&tokenizer->cuts, tokenizer->ignore_merges);
  if (tokenizer->characters) {
    return write_text_key(out, GPT_GGUF_MODEL, "llama") + write_text_key(out, GPT_GGUF_PRE, "default") +
           write_flag(out, GPT_GGUF_SPACE_PREFIX, has_space_prefix(tokenizer));
  }
  write_text_key(out, GPT_GGUF_MODEL, "gpt2");
  write_key(out, GPT_GGUF_PRE, GPT_GGUF_STRING);
  size_t start = begin_string(out);
  if (pre != NULL) gpt_gguf_pre_name(pre, out);
  else gpt_text_add(out, "gpt-2");
  end_string(out, start);
  return 2;
}

static bool has_blank(const GptVocabulary *v, uint32_t id) {
  return memchr(v->bytes + v->tokens[id].start, ' ', v->tokens[id].length) != NULL;
}

/* A blank parts the two tokens of a merge: characters that are written as they are may be blanks themselves. */
static bool can_write_merges(const GptTokenizer *tokenizer) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  for (size_t i = 0; v->raw && i < tokenizer->merges.count; i++)
    if (has_blank(v, tokenizer->merges.list[i].left) || has_blank(v, tokenizer->merges.list[i].right)) return false;
  return tokenizer->scores == NULL;
}

static int write_gguf_merges(GptText *out, const GptTokenizer *tokenizer) {
  if (!can_write_merges(tokenizer)) return 0;
  write_list(out, "tokenizer.ggml.merges", GPT_GGUF_STRING, tokenizer->merges.count);
  for (size_t i = 0; i < tokenizer->merges.count; i++) write_merge(out, &tokenizer->vocabulary,
                                                                   &tokenizer->merges.list[i]);
  return 1;
}

int gpt_tokenizer_write_gguf(GptEnv *env, const GptTokenizer *tokenizer, size_t size, GptText *out) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  int written = write_kind(out, tokenizer) + 2;
  write_list(out, "tokenizer.ggml.tokens", GPT_GGUF_STRING, size);
  for (size_t id = 0; id < size; id++) write_token(out, v, id);
  if (tokenizer->characters && ++written > 0 && !write_scores(env, out, tokenizer, size)) out->failed = true;
  write_list(out, "tokenizer.ggml.token_type", GPT_GGUF_I32, size);
  for (size_t id = 0; id < size; id++) write_u32(out, (uint32_t)token_type(gpt_vocabulary_token(v, (int64_t)id)));
  return written + write_gguf_merges(out, tokenizer) + write_own(out, tokenizer) + write_roles(out, tokenizer) +
         write_ends(out, tokenizer) + write_gguf_templates(out, &tokenizer->templates);
}

/* Whether blanks become marks and nothing else is done. */
static bool is_plain_sentencepiece(const GptTokenizer *tokenizer) {
  for (size_t i = 0; i < tokenizer->normalizers.count; i++) {
    const GptNormalizer *step = &tokenizer->normalizers.list[i];
    bool replace = step->kind == GPT_NORMALIZE_REPLACE && strcmp(gpt_regex_pattern(step->pattern), " ") == 0;
    if (!replace && step->kind != GPT_NORMALIZE_PREPEND) return false;
  }
  for (size_t i = 0; i < tokenizer->cuts.count; i++) {
    const GptCut *cut = &tokenizer->cuts.list[i];
    bool of_blanks = cut->kind == GPT_CUT_REGEX && cut->behavior == GPT_CUT_MERGED_WITH_NEXT;
    if (cut->kind != GPT_CUT_BLANKS && cut->kind != GPT_CUT_MARKS && !of_blanks) return false;
  }
  return true;
}

const char *gpt_tokenizer_gguf_difference(const GptTokenizer *tokenizer) {
  if (tokenizer->characters) return is_plain_sentencepiece(tokenizer) ? NULL :
      "it does more to a text than mark its blanks";
  if (gpt_gguf_pre_of(&tokenizer->cuts, tokenizer->ignore_merges) == NULL)
    return "the way in which it cuts words has no name there";
  return tokenizer->normalizers.count > 0 ? "texts are not normalized there" : NULL;
}
