/* What the files say of added and special tokens. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

static bool is_true(const cJSON *object, const char *key) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* The text of a token given as a string or as an object that has it as its content; or NULL. */
static const char *token_text(const cJSON *value) {
  if (cJSON_IsObject(value)) value = cJSON_GetObjectItemCaseSensitive(value, "content");
  return cJSON_GetStringValue(value);
}

bool gpt_read_added_token(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const cJSON *token) {
  static const struct {
    const char *name;
    uint32_t flag;
  } fields[] = {{"special", GPT_TOKEN_SPECIAL}, {"lstrip", GPT_TOKEN_LSTRIP}, {"rstrip", GPT_TOKEN_RSTRIP},
                {"single_word", GPT_TOKEN_WORD}, {"normalized", GPT_TOKEN_NORMALIZED}};
  uint32_t flags = 0;
  const char *text = token_text(token);
  if (text == NULL || id < 0) return gpt_fail(env, "an added token needs \"content\" (a string) and an id");
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
    if (is_true(token, fields[i].name)) flags |= fields[i].flag;
  return gpt_tokenizer_add_added(env, tokenizer, id, text, strlen(text), flags);
}

bool gpt_read_added_tokens(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  const cJSON *entry;
  if (!cJSON_IsObject(json)) return gpt_fail(env, "an object of tokens and their ids expected");
  cJSON_ArrayForEach(entry, json) {
    int64_t id = gpt_json_whole(entry, GPT_MOST_TOKENS - 1);
    if (id < 0) return gpt_fail(env, "an added token needs an id");
    if (!gpt_tokenizer_add_added(env, tokenizer, id, entry->string, strlen(entry->string), 0)) return false;
  }
  return true;
}

/* "added_tokens_decoder": { "50256": { "content": "<|endoftext|>", ... } } */
static bool read_decoder(GptEnv *env, GptTokenizer *tokenizer, const cJSON *decoder) {
  const cJSON *token;
  cJSON_ArrayForEach(token, decoder) {
    int64_t id = 0;
    for (const char *c = token->string; *c != '\0' && id >= 0; c++)
      id = *c >= '0' && *c <= '9' && id < GPT_MOST_TOKENS ? id * 10 + (*c - '0') : -1;
    if (!gpt_read_added_token(env, tokenizer, token->string[0] == '\0' ? -1 : id, token)) return false;
  }
  return true;
}

/* What the documents say of a role: the first that has the key. */
static const cJSON *find_role(cJSON *const *documents, size_t count, GptRole role) {
  const cJSON *value = NULL;
  for (size_t i = 0; i < count && value == NULL; i++)
    value = cJSON_GetObjectItemCaseSensitive(documents[i], gpt_role_names[role]);
  return value;
}

static bool add_role(GptEnv *env, GptTokenizer *tokenizer, GptRole role, const cJSON *value) {
  const char *text = token_text(value);
  if (value == NULL) return true;
  tokenizer->roles[role] = -1;
  if (text == NULL) return true;
  if (!gpt_tokenizer_add_added(env, tokenizer, -1, text, strlen(text), GPT_TOKEN_SPECIAL))
    return gpt_fail_at(env, "%s", gpt_role_names[role]);
  tokenizer->roles[role] = gpt_tokenizer_find(tokenizer, text, strlen(text));
  return true;
}

/* A list, or an object whose values are tokens. */
static bool add_list(GptEnv *env, GptTokenizer *tokenizer, const cJSON *document, const char *key) {
  const cJSON *value;
  cJSON_ArrayForEach(value, cJSON_GetObjectItemCaseSensitive(document, key)) {
    const char *text = token_text(value);
    if (text != NULL && !gpt_tokenizer_add_added(env, tokenizer, -1, text, strlen(text), GPT_TOKEN_SPECIAL))
      return gpt_fail_at(env, "%s", key);
  }
  return true;
}

bool gpt_add_special_tokens(GptEnv *env, GptTokenizer *tokenizer, cJSON *const *documents, size_t count) {
  static const GptRole order[GPT_ROLES] = {GPT_ROLE_BOS, GPT_ROLE_EOS, GPT_ROLE_UNK, GPT_ROLE_SEP,
                                           GPT_ROLE_PAD, GPT_ROLE_CLS, GPT_ROLE_MASK};
  for (int i = 0; i < GPT_ROLES; i++)
    if (!add_role(env, tokenizer, order[i], find_role(documents, count, order[i]))) return false;
  for (size_t i = 0; i < count; i++)
    if (!add_list(env, tokenizer, documents[i], "additional_special_tokens") ||
        !add_list(env, tokenizer, documents[i], "extra_special_tokens"))
      return false;
  return true;
}

bool gpt_asks_for(const cJSON *config, const char *setting) { return is_true(config, setting); }

bool gpt_read_special_tokens(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  if (!cJSON_IsObject(json)) return gpt_fail(env, "an object expected");
  return read_decoder(env, tokenizer, cJSON_GetObjectItemCaseSensitive(json, "added_tokens_decoder"));
}

static bool add_end_token(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value) {
  int64_t id = gpt_json_whole(value, INT32_MAX);
  if (id < 0) return gpt_fail(env, "eos_token_id: a token id, or a list of token ids, expected");
  return gpt_tokenizer_add_end(tokenizer, id) || gpt_fail_at(env, "eos_token_id");
}

bool gpt_read_end_tokens(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "eos_token_id"), *each;
  if (value == NULL || cJSON_IsNull(value)) return true;
  if (!cJSON_IsArray(value)) return add_end_token(env, tokenizer, value);
  cJSON_ArrayForEach(each, value) {
    if (!add_end_token(env, tokenizer, each)) return false;
  }
  return true;
}
