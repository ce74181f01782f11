#include "core/tokenizer/gguf.h"

#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/io/json.h"
#include "core/tokenizer/gguf_keys.h"
#include "core/tokenizer/gguf_pre.h"
#include "core/tokenizer/parts.h"
#include "core/tokenizer/reading.h"

/* The misspelt one is spelled so. */
const char *const gpt_gguf_role_keys[GPT_ROLES] = {
    [GPT_ROLE_EOS] = "tokenizer.ggml.eos_token_id",       [GPT_ROLE_BOS] = "tokenizer.ggml.bos_token_id",
    [GPT_ROLE_UNK] = "tokenizer.ggml.unknown_token_id",   [GPT_ROLE_PAD] = "tokenizer.ggml.padding_token_id",
    [GPT_ROLE_SEP] = "tokenizer.ggml.seperator_token_id", [GPT_ROLE_MASK] = "tokenizer.ggml.mask_token_id",
};

const char *const gpt_gguf_end_keys[GPT_GGUF_END_KEYS] = {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"};

/* The file's tokenizer, while it is read. */
typedef struct Source {
  GptEnv *env;
  const GptGguf *gguf;
  GptTokenizer *tokenizer;
  const GptPre *pre; /* of the byte-level kind */
  bool by_scores;    /* of SentencePiece's kind */
  cJSON *steps;      /* the description, or NULL */
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

/* What is done to a text, as tokenizer.json would say it. */
static const char sentencepiece_decoder[] =
    "{\"type\": \"Sequence\", \"decoders\": [{\"type\": \"Replace\", \"pattern\": {\"String\": \"\xe2\x96\x81\"}, "
    "\"content\": \" \"}, {\"type\": \"ByteFallback\"}, {\"type\": \"Fuse\"}";
static const char byte_level[] = GPT_BYTE_LEVEL("false");

/* SentencePiece's kind: blanks are marked, one more before the text where `prefix`. */
static void describe_sentencepiece(GptText *out, bool prefix) {
  gpt_text_add(out, "{\"normalizer\": {\"type\": \"Sequence\", \"normalizers\": [%s"
               "{\"type\": \"Replace\", \"pattern\": {\"String\": \" \"}, \"content\": \"\xe2\x96\x81\"}]},\n",
               prefix ? "{\"type\": \"Prepend\", \"prepend\": \"\xe2\x96\x81\"}, " : "");
  gpt_text_add(out, "\"pre_tokenizer\": null,\n\"decoder\": %s%s]},\n", sentencepiece_decoder,
               prefix ? ", {\"type\": \"Strip\", \"content\": \" \", \"start\": 1, \"stop\": 0}" : "");
  gpt_text_add(out, "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"fuse_unk\": true, \"byte_fallback\": true}}");
}

static void describe_byte_level(GptText *out, const GptPre *pre) {
  gpt_text_add(out, "{\"normalizer\": null,\n\"pre_tokenizer\": ");
  gpt_gguf_pre_describe(pre, out);
  gpt_text_add(out, ",\n\"decoder\": %s,\n\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null, "
               "\"byte_fallback\": false, \"ignore_merges\": %s}}", byte_level, pre->ignore_merges ? "true" : "false");
}

/* Reads the steps that a description has. */
static bool read_kind_description(Source *source, const char *what, const char *text, size_t n) {
  GptTokenizer *tokenizer = source->tokenizer;
  cJSON *json = gpt_json_parse(source->env, what, text, n);
  if (json == NULL) return false;
  bool good = gpt_read_steps(source->env, tokenizer, json) || gpt_fail_at(source->env, "%s", what);
  source->steps = json;
  return good;
}

static bool read_own_description(Source *source, const GptGgufValue *value) {
  GptText text; /* a zero byte goes behind it */
  if (value->type != GPT_GGUF_STRING) return gpt_fail(source->env, GPT_GGUF_OWN " is no string");
  gpt_text_init(&text, source->env);
  gpt_text_add_bytes(&text, value->bytes, (size_t)value->count);
  bool good = !text.failed && read_kind_description(source, GPT_GGUF_OWN, text.data, text.length);
  gpt_text_free(&text);
  return good;
}

/* Reads a description of a kind that the format names. */
static bool read_named_kind(Source *source, const GptPre *pre) {
  GptText text;
  gpt_text_init(&text, source->env);
  const GptGgufValue *prefix = gpt_gguf_find(source->gguf, GPT_GGUF_SPACE_PREFIX);
  if (pre != NULL) describe_byte_level(&text, pre);
  else describe_sentencepiece(&text, prefix == NULL || is_set(source->gguf, GPT_GGUF_SPACE_PREFIX));
  bool good = !text.failed && read_kind_description(source, pre != NULL ? GPT_GGUF_PRE : GPT_GGUF_MODEL, text.data,
                                                    text.length);
  gpt_text_free(&text);
  source->tokenizer->settings.canonical = true;
  source->tokenizer->decoder.added_too = false;
  return good;
}

static bool read_pre(Source *source) {
  char quoted[GPT_QUOTE_SIZE];
  const GptGgufValue *pre = gpt_gguf_find(source->gguf, GPT_GGUF_PRE);
  if (pre != NULL && pre->type == GPT_GGUF_STRING) source->pre = gpt_gguf_pre_find(pre->bytes, (size_t)pre->count);
  if (pre == NULL) source->pre = gpt_gguf_pre_find("default", 7);
  if (source->pre == NULL)
    return gpt_fail(source->env, GPT_GGUF_PRE " is %s, which is not implemented", show_text(pre, quoted));
  if (source->pre != gpt_gguf_pre_find("gpt-2", 5)) return read_named_kind(source, source->pre);
  return gpt_tokenizer_cut_as_gpt2(source->env, source->tokenizer); /* needs no words */
}

/* The byte-level kind, or SentencePiece's; what the file was made from is described in it where it was ours. */
static bool read_kind(Source *source) {
  char quoted[GPT_QUOTE_SIZE];
  const GptGgufValue *model = gpt_gguf_find(source->gguf, GPT_GGUF_MODEL), *own = gpt_gguf_find(source->gguf,
      GPT_GGUF_OWN);
  source->by_scores = is_string(model, "llama");
  if (!source->by_scores && !is_string(model, "gpt2"))
    return gpt_fail(source->env, GPT_GGUF_MODEL " is %s; what is implemented is \"gpt2\" and \"llama\"",
                    show_text(model, quoted));
  if (own != NULL) return read_own_description(source, own);
  return source->by_scores ? read_named_kind(source, NULL) : read_pre(source);
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
  if (!gpt_tokenizer_add_added(source->env, source->tokenizer, id, text->bytes, (size_t)text->count,
                               special ? GPT_TOKEN_SPECIAL : 0))
    return false;
  v->tokens[id].flags |= GPT_TOKEN_MODEL;
  return true;
}

/* <0x0A> */
static bool is_byte_name(const GptGgufValue *text) {
  if (text->count != 6 || memcmp(text->bytes, "<0x", 3) != 0 || text->bytes[5] != '>') return false;
  for (int i = 3; i < 5; i++)
    if (strchr("0123456789ABCDEF", text->bytes[i]) == NULL || text->bytes[i] == '\0') return false;
  return true;
}

/* Unused tokens of the byte-level kind only fill up the list; in SentencePiece's kind merging may make them, but for
   those that some converters put at the list's end. */
static bool is_filler(const Source *source, const GptGgufValue *text, int64_t type) {
  if (text->count == 0) return true;
  if (type != GPT_GGUF_TOKEN_UNUSED) return false;
  return !source->by_scores || (text->count > 5 && memcmp(text->bytes, "[PAD", 4) == 0);
}

static bool add_gguf_token(Source *source, int64_t id, const GptGgufValue *text, int64_t type) {
  if (is_filler(source, text, type)) return true;
  if (type == GPT_GGUF_TOKEN_CONTROL || type == GPT_GGUF_TOKEN_UNKNOWN || type == GPT_GGUF_TOKEN_USER_DEFINED)
    return add_mark(source, id, text, type != GPT_GGUF_TOKEN_USER_DEFINED);
  if (type == GPT_GGUF_TOKEN_BYTE && source->by_scores && !is_byte_name(text))
    return gpt_fail(source->env, "a byte's token, <0x00> to <0xFF>, expected");
  if (type != GPT_GGUF_TOKEN_NORMAL && !(source->by_scores && (type == GPT_GGUF_TOKEN_BYTE ||
                                                               type == GPT_GGUF_TOKEN_UNUSED)))
    return gpt_fail(source->env, "type %lld is not one of this kind of tokenizer", (long long)type);
  return gpt_vocabulary_add_spelled(source->env, &source->tokenizer->vocabulary, id, text->bytes, (size_t)text->count,
                                    GPT_TOKEN_MODEL | (type == GPT_GGUF_TOKEN_UNUSED ? GPT_TOKEN_UNUSED : 0));
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

static bool read_gguf_scores(Source *source) {
  size_t count = source->tokenizer->vocabulary.size;
  const GptGgufValue *scores = find_list(source, "tokenizer.ggml.scores", GPT_GGUF_F32, "f32");
  if (scores == NULL) return false;
  if (scores->count < count)
    return gpt_fail(source->env, "tokenizer.ggml.scores has %llu elements, tokenizer.ggml.tokens more",
                    (unsigned long long)scores->count);
  float *copy = gpt_alloc_array(source->env, count, sizeof *copy);
  source->tokenizer->scores = copy;
  if (copy == NULL) return false;
  memcpy(copy, scores->bytes, count * sizeof *copy);
  for (size_t id = 0; id < count; id++)
    if (copy[id] != copy[id])
      return gpt_fail(source->env, "tokenizer.ggml.scores: the score of token %zu is no number", id);
  return true;
}

/* How tokens merge: where our own description stands beside scores, its list of pairs says more than they do. */
static bool read_merging(Source *source) {
  bool pairs = !source->by_scores ||
               (!source->tokenizer->settings.canonical && gpt_gguf_find(source->gguf, "tokenizer.ggml.merges") != NULL);
  return pairs ? read_gguf_merges(source) : read_gguf_scores(source);
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

/* Where SentencePiece's kind names none, it is what its files begin with. */
static bool read_role(Source *source, int role) {
  static const int usual[GPT_ROLES] = {[GPT_ROLE_EOS] = 2, [GPT_ROLE_BOS] = 1, [GPT_ROLE_UNK] = 0};
  int64_t *id = &source->tokenizer->roles[role];
  if (!read_id(source, gpt_gguf_role_keys[role], id)) return false;
  bool has_usual = role == GPT_ROLE_EOS || role == GPT_ROLE_BOS || role == GPT_ROLE_UNK;
  if (!source->by_scores || !has_usual || gpt_gguf_find(source->gguf, gpt_gguf_role_keys[role]) != NULL) return true;
  const GptToken *token = gpt_vocabulary_token(&source->tokenizer->vocabulary, usual[role]);
  if (token != NULL && (token->flags & GPT_TOKEN_SPECIAL) != 0) *id = usual[role];
  return true;
}

/* Puts a role's id into a list, where a key says so. */
static bool read_addition(Source *source, const char *key, bool otherwise, GptRole role, GptIds *list) {
  bool wanted = gpt_gguf_find(source->gguf, key) != NULL ? is_set(source->gguf, key) : otherwise;
  int64_t id = source->tokenizer->roles[role];
  if (!wanted || id < 0) return true;
  if (!gpt_ids_reserve(list, 1)) return false;
  list->data[list->length++] = id;
  return true;
}

static bool read_roles(Source *source) {
  GptTokenizer *tokenizer = source->tokenizer;
  bool bos = source->by_scores || (source->pre != NULL && source->pre->adds_bos);
  for (int role = 0; role < GPT_ROLES; role++)
    if (!read_role(source, role)) return false;
  if (source->by_scores) tokenizer->unknown = tokenizer->roles[GPT_ROLE_UNK];
  if (!tokenizer->settings.canonical && source->steps != NULL) {
    tokenizer->unknown = -1;
    if (!gpt_read_unknown(source->env, tokenizer, gpt_json_field(source->steps, "model"))) return false;
  }
  if (tokenizer->settings.has_processor)
    return gpt_read_post_processor(source->env, tokenizer, gpt_json_field(source->steps, "post_processor"));
  return read_addition(source, GPT_GGUF_ADD_BOS, bos, GPT_ROLE_BOS, &tokenizer->before) &&
         read_addition(source, GPT_GGUF_ADD_EOS, false, GPT_ROLE_EOS, &tokenizer->after);
}

/* Marks that end a turn, a message or a text, as models call them: files rarely say so. */
static bool add_known_ends(GptTokenizer *tokenizer) {
  static const char *const names[] = {"<|eot_id|>", "<|im_end|>", "<|end|>", "<end_of_turn>", "<|eom_id|>", "<EOT>",
                                      "<|endoftext|>", "<|end_of_text|>", "<end_of_utterance>"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    int64_t id = gpt_tokenizer_find(tokenizer, names[i], strlen(names[i]));
    if (id < 0 || (tokenizer->vocabulary.tokens[id].flags & GPT_TOKEN_SPECIAL) == 0) continue;
    if (!gpt_tokenizer_add_end(tokenizer, id)) return false;
  }
  return true;
}

/* Finishes the tokenizer: what ends a text beside the role's token is marked before, and listed after. */
static bool read_ends(Source *source) {
  int64_t ids[GPT_GGUF_END_KEYS];
  for (int i = 0; i < GPT_GGUF_END_KEYS; i++)
    if (!read_id(source, gpt_gguf_end_keys[i], &ids[i])) return false;
  if (!gpt_tokenizer_finish(source->env, source->tokenizer)) return false;
  for (int i = 0; i < GPT_GGUF_END_KEYS; i++)
    if (ids[i] >= 0 && !gpt_tokenizer_add_end(source->tokenizer, ids[i])) return false;
  return add_known_ends(source->tokenizer);
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
    if (n > length && (key->bytes[length] != '.' || n - length > sizeof name || memchr(key->bytes, '\0', n) != NULL))
        continue;
    if (n > length) memcpy(memset(name, 0, sizeof name), key->bytes + length + 1, n - length - 1);
    if (!gpt_templates_set(source->env, &source->tokenizer->templates, name, value->bytes, (size_t)value->count))
      return false;
  }
  return true;
}

static bool read_source(Source *source) {
  return read_kind(source) && read_gguf_tokens(source) && read_merging(source) && read_roles(source) &&
         read_ends(source) && read_gguf_templates(source);
}

GptTokenizer *gpt_tokenizer_read_gguf(GptEnv *env, const GptGguf *gguf) {
  Source source = {.env = env, .gguf = gguf, .tokenizer = gpt_tokenizer_new(env)};
  if (source.tokenizer == NULL) return NULL;
  bool good = read_source(&source);
  gpt_json_free(env, source.steps);
  if (good) return source.tokenizer;
  gpt_tokenizer_free(env, source.tokenizer);
  gpt_fail_at(env, "%s", gguf->file->path);
  return NULL;
}
