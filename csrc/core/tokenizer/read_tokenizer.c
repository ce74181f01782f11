/* tokenizer.json: the vocabulary, the merges, the added tokens. What is done to the text is read by read_steps.c. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

/* "a b" or ["a", "b"] */
static bool read_merge(GptEnv *env, GptTokenizer *tokenizer, const cJSON *merge) {
  const char *left = cJSON_GetStringValue(merge), *right;
  if (left != NULL) {
    right = strchr(left, ' ');
    if (right == NULL || right == left || right[1] == '\0' || strchr(right + 1, ' ') != NULL)
      return gpt_fail(env, "two tokens with a space between expected");
    return gpt_read_merge(env, tokenizer, left, (size_t)(right - left), right + 1, strlen(right + 1));
  }
  left = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 0));
  right = cJSON_GetStringValue(cJSON_GetArrayItem(merge, 1));
  if (cJSON_GetArraySize(merge) != 2 || left == NULL || right == NULL) return gpt_fail(env, "two tokens expected");
  return gpt_read_merge(env, tokenizer, left, strlen(left), right, strlen(right));
}

static bool read_merge_list(GptEnv *env, GptTokenizer *tokenizer, const cJSON *merges) {
  const cJSON *merge;
  size_t number = 1;
  cJSON_ArrayForEach(merge, merges) {
    if (!read_merge(env, tokenizer, merge)) return gpt_fail_at(env, "merges[%zu]", number);
    number++;
  }
  return true;
}

static bool read_added(GptEnv *env, GptTokenizer *tokenizer, const cJSON *tokens) {
  const cJSON *token;
  cJSON_ArrayForEach(token, tokens) {
    int64_t id = gpt_json_whole(gpt_json_field(token, "id"), GPT_MOST_TOKENS - 1);
    if (!gpt_read_added_token(env, tokenizer, id, token)) return false;
  }
  return true;
}

static bool check_parts(GptEnv *env, const cJSON *model) {
  if (!cJSON_IsObject(gpt_json_field(model, "vocab"))) return gpt_fail(env, "model: \"vocab\" (an object) is missing");
  return cJSON_IsArray(gpt_json_field(model, "merges")) || gpt_fail(env, "model: \"merges\" (an array) is missing");
}

bool gpt_read_unknown(GptEnv *env, GptTokenizer *tokenizer, const cJSON *model) {
  char quoted[GPT_QUOTE_SIZE];
  const char *text = cJSON_GetStringValue(gpt_json_field(model, "unk_token"));
  if (text == NULL) return true;
  tokenizer->unknown = gpt_vocabulary_find_spelled(env, &tokenizer->vocabulary, text, strlen(text));
  return tokenizer->unknown >= 0 ||
         gpt_fail(env, "model: unk_token: the token %s is not in the vocabulary", gpt_quote(text, strlen(text),
             quoted));
}

bool gpt_read_tokenizer_json(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  const cJSON *model = gpt_json_field(json, "model");
  if (!cJSON_IsObject(model)) return gpt_fail(env, "\"model\" (an object) is missing");
  return gpt_read_steps(env, tokenizer, json) && check_parts(env, model) &&
         gpt_read_vocabulary(env, tokenizer, gpt_json_field(model, "vocab")) &&
         read_merge_list(env, tokenizer, gpt_json_field(model, "merges")) && gpt_read_unknown(env, tokenizer, model) &&
         read_added(env, tokenizer, gpt_json_field(json, "added_tokens")) &&
         gpt_read_post_processor(env, tokenizer, gpt_json_field(json, "post_processor"));
}
