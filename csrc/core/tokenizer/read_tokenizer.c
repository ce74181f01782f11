/* tokenizer.json: the vocabulary, the merges, the added tokens, and a description of everything that is done to the
   text. What is described must be GPT-2's way; everything else is refused by name. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

static const cJSON *get_field(const cJSON *object, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(object, key);
}

static bool is_missing(const cJSON *value) { return value == NULL || cJSON_IsNull(value); }

static const char *type_of(const cJSON *value) {
  const char *type = cJSON_GetStringValue(get_field(value, "type"));
  return type != NULL ? type : "null";
}

/* The only step of a sequence of one; otherwise the value itself. */
static const cJSON *unwrap(const cJSON *value, const char *steps) {
  const cJSON *list = get_field(value, steps);
  bool one = strcmp(type_of(value), "Sequence") == 0 && cJSON_GetArraySize(list) == 1;
  return one ? cJSON_GetArrayItem(list, 0) : value;
}

static bool refuse(GptEnv *env, const char *what, const cJSON *value, const char *expected) {
  char quoted[GPT_QUOTE_SIZE];
  const char *type = type_of(value);
  return gpt_fail(env, "%s %s is not supported: %s expected", what, gpt_quote(type, strlen(type), quoted), expected);
}

static bool check_normalizer(GptEnv *env, const cJSON *value) {
  bool empty = strcmp(type_of(value), "Sequence") == 0 && cJSON_GetArraySize(get_field(value, "normalizers")) == 0;
  return is_missing(value) || empty || refuse(env, "normalizer", value, "none");
}

/* ByteLevel alone cuts words by GPT-2's pattern; `cut`: a Split before it has done that. */
static bool check_byte_level(GptEnv *env, const cJSON *value, bool cut) {
  if (strcmp(type_of(value), "ByteLevel") != 0) return refuse(env, "pre_tokenizer", value, "ByteLevel");
  if (cJSON_IsTrue(get_field(value, "add_prefix_space")))
    return gpt_fail(env, "pre_tokenizer: add_prefix_space = true is not supported");
  if (!cut && cJSON_IsFalse(get_field(value, "use_regex")))
    return gpt_fail(env, "pre_tokenizer: use_regex = false is not supported");
  return true;
}

static bool is_text(const cJSON *value, const char *text) {
  const char *found = cJSON_GetStringValue(value);
  return found != NULL && strcmp(found, text) == 0;
}

/* Split by GPT-2's own pattern, in either of the ways in which it is written. */
static bool check_split(GptEnv *env, const cJSON *value) {
  static const char *const patterns[] = {
      "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
      "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"};
  const cJSON *pattern = get_field(get_field(value, "pattern"), "Regex"), *behavior = get_field(value, "behavior");
  if (!is_text(pattern, patterns[0]) && !is_text(pattern, patterns[1]))
    return gpt_fail(env, "pre_tokenizer Split: a pattern other than GPT-2's is not supported");
  bool words = is_text(behavior, "Removed") && cJSON_IsTrue(get_field(value, "invert")); /* what is between them goes */
  return words || is_text(behavior, "Isolated") || gpt_fail(env, "pre_tokenizer Split: behavior Isolated expected");
}

static bool check_pre_tokenizer(GptEnv *env, const cJSON *value) {
  const cJSON *steps = get_field(value, "pretokenizers"), *first = cJSON_GetArrayItem(steps, 0);
  bool two = strcmp(type_of(value), "Sequence") == 0 && cJSON_GetArraySize(steps) == 2;
  if (two && strcmp(type_of(first), "Split") == 0)
    return check_split(env, first) && check_byte_level(env, cJSON_GetArrayItem(steps, 1), true);
  return check_byte_level(env, unwrap(value, "pretokenizers"), false);
}

static bool check_decoder(GptEnv *env, const cJSON *value) {
  value = unwrap(value, "decoders");
  bool good = is_missing(value) || strcmp(type_of(value), "ByteLevel") == 0;
  return good || refuse(env, "decoder", value, "ByteLevel");
}

/* The text alone, or one special token before it. */
static bool check_template(GptEnv *env, const cJSON *template) {
  const cJSON *pieces = get_field(template, "single"), *piece = cJSON_GetArrayItem(pieces, 0);
  if (get_field(piece, "SpecialToken") != NULL) piece = cJSON_GetArrayItem(pieces, 1);
  if (get_field(piece, "Sequence") != NULL && piece->next == NULL) return true;
  return gpt_fail(env, "post_processor TemplateProcessing: only one special token before the text is supported");
}

static bool check_processor(GptEnv *env, const cJSON *value) {
  if (is_missing(value) || strcmp(type_of(value), "ByteLevel") == 0) return true;
  if (strcmp(type_of(value), "TemplateProcessing") == 0) return check_template(env, value);
  return refuse(env, "post_processor", value, "ByteLevel, TemplateProcessing or none");
}

/* One step, or a Sequence of them. */
static bool check_post_processor(GptEnv *env, const cJSON *value) {
  const cJSON *step;
  if (strcmp(type_of(value), "Sequence") != 0) return check_processor(env, value);
  cJSON_ArrayForEach(step, get_field(value, "processors")) {
    if (!check_processor(env, step)) return false;
  }
  return true;
}

static bool read_template(GptEnv *env, GptTokenizer *tokenizer, const cJSON *template) {
  char quoted[GPT_QUOTE_SIZE];
  const cJSON *special = get_field(cJSON_GetArrayItem(get_field(template, "single"), 0), "SpecialToken");
  const char *text = cJSON_GetStringValue(get_field(special, "id"));
  if (text == NULL) return true;
  tokenizer->first = gpt_tokenizer_find(tokenizer, text, strlen(text));
  return tokenizer->first >= 0 || gpt_fail(env, "post_processor: the special token %s is not in the vocabulary",
                                           gpt_quote(text, strlen(text), quoted));
}

/* With what a prompt begins. */
static bool read_post_processor(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value) {
  const cJSON *step;
  if (!read_template(env, tokenizer, value)) return false;
  cJSON_ArrayForEach(step, get_field(value, "processors")) {
    if (!read_template(env, tokenizer, step)) return false;
  }
  return true;
}

static bool is_empty(const cJSON *value) {
  const char *text = cJSON_GetStringValue(value);
  return is_missing(value) || cJSON_IsFalse(value) || (text != NULL && text[0] == '\0') ||
         (cJSON_IsNumber(value) && value->valuedouble == 0);
}

static bool check_model(GptEnv *env, const cJSON *model) {
  static const char *const unsupported[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix",
                                            "byte_fallback", "ignore_merges"};
  if (get_field(model, "type") != NULL && strcmp(type_of(model), "BPE") != 0) return refuse(env, "model", model, "BPE");
  for (int i = 0; i < 5; i++)
    if (!is_empty(get_field(model, unsupported[i]))) return gpt_fail(env, "model: %s is not supported", unsupported[i]);
  if (!cJSON_IsObject(get_field(model, "vocab"))) return gpt_fail(env, "model: \"vocab\" (an object) is missing");
  return cJSON_IsArray(get_field(model, "merges")) || gpt_fail(env, "model: \"merges\" (an array) is missing");
}

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
    int64_t id = gpt_json_whole(get_field(token, "id"), GPT_MOST_TOKENS - 1);
    if (!gpt_read_added_token(env, tokenizer, id, token)) return false;
  }
  return true;
}

bool gpt_read_tokenizer_json(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  const cJSON *model = get_field(json, "model");
  if (!cJSON_IsObject(model)) return gpt_fail(env, "\"model\" (an object) is missing");
  return check_model(env, model) && check_normalizer(env, get_field(json, "normalizer")) &&
         check_pre_tokenizer(env, get_field(json, "pre_tokenizer")) &&
         check_post_processor(env, get_field(json, "post_processor")) &&
         check_decoder(env, get_field(json, "decoder")) &&
         gpt_read_vocabulary(env, tokenizer, get_field(model, "vocab")) &&
         read_merge_list(env, tokenizer, get_field(model, "merges")) &&
         read_added(env, tokenizer, get_field(json, "added_tokens")) &&
         read_post_processor(env, tokenizer, get_field(json, "post_processor"));
}
