/* tokenizer.json's post_processor: what is put before and after a text. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

#define DEEPEST 8

static bool fail_template(GptEnv *env) {
  return gpt_fail(env, "post_processor TemplateProcessing: \"single\": one Sequence among SpecialTokens expected");
}

static bool add_special(GptEnv *env, GptTokenizer *tokenizer, const cJSON *special, GptIds *list) {
  char quoted[GPT_QUOTE_SIZE];
  const char *text = cJSON_GetStringValue(gpt_json_field(special, "id"));
  int64_t id = text == NULL ? -1 : gpt_tokenizer_find(tokenizer, text, strlen(text));
  if (text == NULL) return gpt_fail(env, "post_processor: a special token without an id");
  if (id < 0)
    return gpt_fail(env, "post_processor: the special token %s is not in the vocabulary",
                    gpt_quote(text, strlen(text), quoted));
  if (!gpt_ids_reserve(list, 1)) return false;
  list->data[list->length++] = id;
  return true;
}

/* Special tokens, the text, special tokens. */
static bool read_template(GptEnv *env, GptTokenizer *tokenizer, const cJSON *template) {
  const cJSON *piece;
  bool text = false;
  tokenizer->before.length = tokenizer->after.length = 0;
  cJSON_ArrayForEach(piece, gpt_json_field(template, "single")) {
    const cJSON *special = gpt_json_field(piece, "SpecialToken");
    if (special == NULL && (text || gpt_json_field(piece, "Sequence") == NULL))
      return fail_template(env);
    text = text || special == NULL;
    if (special != NULL && !add_special(env, tokenizer, special, text ? &tokenizer->after : &tokenizer->before))
        return false;
  }
  return text || fail_template(env);
}

static bool read_processor(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value, int depth) {
  const cJSON *each;
  if (gpt_json_is_missing(value) || gpt_json_is_type(value, "ByteLevel")) return true;
  if (gpt_json_is_type(value, "TemplateProcessing")) return read_template(env, tokenizer, value);
  if (!gpt_json_is_type(value, "Sequence"))
    return gpt_refuse_type(env, "post_processor", value, "ByteLevel, TemplateProcessing or none");
  if (depth == 0) return gpt_fail(env, "post_processor: sequences lie more than %d deep", DEEPEST);
  cJSON_ArrayForEach(each, gpt_json_field(value, "processors"))
    if (!read_processor(env, tokenizer, each, depth - 1)) return false;
  return true;
}

bool gpt_read_post_processor(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value) {
  return read_processor(env, tokenizer, value, DEEPEST);
}
