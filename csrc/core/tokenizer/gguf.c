#include "core/tokenizer/gguf.h"

#include <stdio.h>
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/parts.h"
#include "core/tokenizer/reading.h"

/* Types of tokens in tokenizer.ggml.token_type. */
enum { NORMAL = 1, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE };

/* The keys of special tokens' ids; NULL: the format has none. The misspelt one is spelled so. */
static const char *const role_keys[GPT_ROLES] = {
    [GPT_ROLE_EOS] = "tokenizer.ggml.eos_token_id",       [GPT_ROLE_BOS] = "tokenizer.ggml.bos_token_id",
    [GPT_ROLE_UNK] = "tokenizer.ggml.unknown_token_id",   [GPT_ROLE_PAD] = "tokenizer.ggml.padding_token_id",
    [GPT_ROLE_SEP] = "tokenizer.ggml.seperator_token_id", [GPT_ROLE_MASK] = "tokenizer.ggml.mask_token_id",
};

#define ADD_BOS "tokenizer.ggml.add_bos_token"
#define END_KEYS 2

/* What ends a text beside eos: a turn, a message. */
static const char *const end_keys[END_KEYS] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};

/* The file's tokenizer, while it is read. */
typedef struct Source {
  GptEnv *env;
  const GptGguf *gguf;
  GptTokenizer *tokenizer;
} Source;

static bool is_string(const GptGgufValue *value, const char *text) {
  return value != NULL && value->type == GPT_GGUF_STRING && value->count == strlen(text) &&
         memcmp(value->bytes, text, (size_t)value->count) == 0;
}

/* A value as a message shows it, where it should be a string. */
static const char *show_text(const GptGgufValue *value, char *quoted) {
  if (value == NULL || value->type != GPT_GGUF_STRING) return value == NULL ? "missing" : "no string";
  return gpt_quote(value->bytes, (size_t)value->count, quoted);
}

static bool is_set(const GptGguf *gguf, const char *key) {
  const GptGgufValue *value = gpt_gguf_find(gguf, key);
  return value != NULL && value->type == GPT_GGUF_BOOL && value->bytes[0] != 0;
}

/* Only the byte-level BPE with GPT-2's way of cutting words. */
static bool check_gguf_kind(GptEnv *env, const GptGguf *gguf) {
  static const char *const settings[] = {"tokenizer.ggml.add_eos_token", "tokenizer.ggml.add_space_prefix"};
  char quoted[GPT_QUOTE_SIZE];
  const GptGgufValue *model = gpt_gguf_find(gguf, "tokenizer.ggml.model"), *pre = gpt_gguf_find(gguf, "tokenizer.ggml.pre");
  if (!is_string(model, "gpt2"))
    return gpt_fail(env, "tokenizer.ggml.model is %s; what is implemented is \"gpt2\"", show_text(model, quoted));
  if (!is_string(pre, "gpt-2"))
    return gpt_fail(env, "tokenizer.ggml.pre is %s; what is implemented is \"gpt-2\"", show_text(pre, quoted));
  for (int i = 0; i < 2; i++)
    if (is_set(gguf, settings[i])) return gpt_fail(env, "%s is true, which is not implemented", settings[i]);
  return true;
}

/* An array of that key; `item` is the type that its elements must have. */
static const GptGgufValue *find_list(Source *source, const char *key, GptGgufType item, const char *what) {
  const GptGgufValue *value = gpt_gguf_find(source->gguf, key);
  if (value != NULL && value->type == GPT_GGUF_ARRAY && value->item == item) return value;
  return gpt_fail_null(source->env, "%s is not an array of %s", key, what);
}

/* A control token is one of the vocabulary as well, as GPT-2's own files have it. */
static bool add_mark(Source *source, int64_t id, const GptGgufValue *text, bool special) {
  GptVocabulary *v = &source->tokenizer->vocabulary;
  if (!gpt_tokenizer_add_added(source->env, source->tokenizer, id, text->bytes, (size_t)text->count, special))
    return false;
  v->tokens[id].flags |= GPT_TOKEN_MODEL;
  return true;
}

static bool add_gguf_token(Source *source, int64_t id, const GptGgufValue *text, int64_t type) {
  if (type == UNUSED) return true;
  if (type == CONTROL || type == UNKNOWN || type == USER_DEFINED)
    return add_mark(source, id, text, type != USER_DEFINED);
  if (type != NORMAL) return gpt_fail(source->env, "type %lld is not one of this kind of tokenizer", (long long)type);
  return gpt_vocabulary_add_spelled(source->env, &source->tokenizer->vocabulary, id, text->bytes, (size_t)text->count,
                                    GPT_TOKEN_MODEL);
}

static bool check_counts(GptEnv *env, const GptGgufValue *tokens, const GptGgufValue *types) {
  if (types->count != tokens->count)
    return gpt_fail(env, "tokenizer.ggml.token_type has %llu elements, tokenizer.ggml.tokens %llu",
                    (unsigned long long)types->count, (unsigned long long)tokens->count);
  return tokens->count <= (uint64_t)GPT_MOST_TOKENS ||
         gpt_fail(env, "tokenizer.ggml.tokens has %llu elements; at most %lld are allowed",
                  (unsigned long long)tokens->count, (long long)GPT_MOST_TOKENS);
}

static bool read_gguf_tokens(Source *source) {
  const GptGgufValue *tokens = find_list(source, "tokenizer.ggml.tokens", GPT_GGUF_STRING, "strings");
  const GptGgufValue *types =
      tokens != NULL ? find_list(source, "tokenizer.ggml.token_type", GPT_GGUF_I32, "i32") : NULL;
  if (types == NULL || !check_counts(source->env, tokens, types)) return false;
  const char *text_at = tokens->bytes, *type_at = types->bytes;
  for (uint64_t id = 0; id < tokens->count; id++) {
    GptGgufValue text = gpt_gguf_next(GPT_GGUF_STRING, &text_at), number = gpt_gguf_next(GPT_GGUF_I32, &type_at);
    int64_t type;
    gpt_gguf_integer(&number, &type);
    if (!add_gguf_token(source, (int64_t)id, &text, type))
      return gpt_fail_at(source->env, "tokenizer.ggml.tokens: token %llu", (unsigned long long)id);
  }
  return true;
}

/* "a b": the first space that is not the first character stands between. */
static bool read_gguf_merge(Source *source, const GptGgufValue *merge) {
  const char *text = merge->bytes;
  size_t n = (size_t)merge->count;
  const char *space = n > 2 ? memchr(text + 1, ' ', n - 2) : NULL;
  if (space == NULL) return gpt_fail(source->env, "two tokens with a space between expected");
  size_t left = (size_t)(space - text);
  return gpt_read_merge(source->env, source->tokenizer, text, left, space + 1, n - left - 1);
}

static bool read_gguf_merges(Source *source) {
  const GptGgufValue *merges = find_list(source, "tokenizer.ggml.merges", GPT_GGUF_STRING, "strings");
  if (merges == NULL) return false;
  const char *at = merges->bytes;
  for (uint64_t i = 0; i < merges->count; i++) {
    GptGgufValue merge = gpt_gguf_next(GPT_GGUF_STRING, &at);
    if (!read_gguf_merge(source, &merge))
      return gpt_fail_at(source->env, "tokenizer.ggml.merges: merge %llu", (unsigned long long)i + 1);
  }
  return true;
}

/* The id that a key names, or -1: also where no token has it, as some files name one past the end. It is a mark. */
static bool read_id(Source *source, const char *key, int64_t *id) {
  GptVocabulary *v = &source->tokenizer->vocabulary;
  const GptGgufValue *value = key != NULL ? gpt_gguf_find(source->gguf, key) : NULL;
  *id = -1;
  if (value == NULL) return true;
  if (!gpt_gguf_integer(value, id)) return gpt_fail(source->env, "%s is no token's id", key);
  if (gpt_vocabulary_token(v, *id) != NULL) v->tokens[*id].flags |= GPT_TOKEN_ADDED | GPT_TOKEN_SPECIAL;
  else *id = -1;
  return true;
}

static bool read_roles(Source *source) {
  int64_t *roles = source->tokenizer->roles;
  for (int role = 0; role < GPT_ROLES; role++)
    if (!read_id(source, role_keys[role], &roles[role])) return false;
  if (is_set(source->gguf, ADD_BOS)) source->tokenizer->first = roles[GPT_ROLE_BOS];
  return true;
}

/* Finishes the tokenizer: what ends a text beside the role's token is marked before, and listed after. */
static bool read_ends(Source *source) {
  int64_t ids[END_KEYS];
  for (int i = 0; i < END_KEYS; i++)
    if (!read_id(source, end_keys[i], &ids[i])) return false;
  if (!gpt_tokenizer_finish(source->env, source->tokenizer)) return false;
  for (int i = 0; i < END_KEYS; i++)
    if (ids[i] >= 0 && !gpt_tokenizer_add_end(source->tokenizer, ids[i])) return false;
  return true;
}

/* tokenizer.chat_template is the default one, tokenizer.chat_template.NAME another. */
static bool read_gguf_templates(Source *source) {
  static const char prefix[] = "tokenizer.chat_template";
  const size_t length = sizeof prefix - 1;
  for (size_t i = 0; i < source->gguf->key_count; i++) {
    const GptGgufValue *key = &source->gguf->keys[i].name, *value = &source->gguf->keys[i].value;
    size_t n = (size_t)key->count;
    char name[64] = GPT_TEMPLATE_DEFAULT;
    if (value->type != GPT_GGUF_STRING || n < length || memcmp(key->bytes, prefix, length) != 0) continue;
    if (n > length && (key->bytes[length] != '.' || n - length > sizeof name || memchr(key->bytes, '\0', n) != NULL)) continue;
    if (n > length) memcpy(memset(name, 0, sizeof name), key->bytes + length + 1, n - length - 1);
    if (!gpt_templates_set(source->env, &source->tokenizer->templates, name, value->bytes, (size_t)value->count))
      return false;
  }
  return true;
}

GptTokenizer *gpt_tokenizer_read_gguf(GptEnv *env, const GptGguf *gguf) {
  Source source = {.env = env, .gguf = gguf, .tokenizer = gpt_tokenizer_new(env)};
  if (source.tokenizer == NULL) return NULL;
  if (check_gguf_kind(env, gguf) && read_gguf_tokens(&source) && read_gguf_merges(&source) && read_roles(&source) && read_ends(&source) &&
      read_gguf_templates(&source))
    return source.tokenizer;
  gpt_tokenizer_free(env, source.tokenizer);
  gpt_fail_at(env, "%s", gguf->file->path);
  return NULL;
}

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
  if (token == NULL) return UNUSED;
  if ((token->flags & GPT_TOKEN_SPECIAL) != 0) return CONTROL;
  return (token->flags & GPT_TOKEN_ADDED) != 0 ? USER_DEFINED : NORMAL;
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

static int write_roles(GptText *out, const GptTokenizer *tokenizer) {
  int written = 0;
  for (int role = 0; role < GPT_ROLES; role++) written += write_id(out, role_keys[role], tokenizer->roles[role]);
  if (tokenizer->first < 0) return written;
  write_key(out, ADD_BOS, GPT_GGUF_BOOL);
  gpt_text_add_bytes(out, "\1", 1);
  return written + 1;
}

static int write_ends(GptText *out, const GptTokenizer *tokenizer) {
  int written = 0;
  for (size_t i = 0; i < tokenizer->ends.length && written < END_KEYS; i++)
    if (tokenizer->ends.data[i] != tokenizer->roles[GPT_ROLE_EOS])
      written += write_id(out, end_keys[written], tokenizer->ends.data[i]);
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

int gpt_tokenizer_write_gguf(const GptTokenizer *tokenizer, size_t size, GptText *out) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  write_key(out, "tokenizer.ggml.model", GPT_GGUF_STRING);
  write_string(out, "gpt2", 4);
  write_key(out, "tokenizer.ggml.pre", GPT_GGUF_STRING);
  write_string(out, "gpt-2", 5);
  write_list(out, "tokenizer.ggml.tokens", GPT_GGUF_STRING, size);
  for (size_t id = 0; id < size; id++) write_token(out, v, id);
  write_list(out, "tokenizer.ggml.token_type", GPT_GGUF_I32, size);
  for (size_t id = 0; id < size; id++) write_u32(out, (uint32_t)token_type(gpt_vocabulary_token(v, (int64_t)id)));
  write_list(out, "tokenizer.ggml.merges", GPT_GGUF_STRING, tokenizer->merges.count);
  for (size_t i = 0; i < tokenizer->merges.count; i++) write_merge(out, v, &tokenizer->merges.list[i]);
  return 5 + write_roles(out, tokenizer) + write_ends(out, tokenizer) + write_gguf_templates(out, &tokenizer->templates);
}
