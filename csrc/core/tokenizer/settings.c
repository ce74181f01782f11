#include "core/tokenizer/settings.h"

#include <string.h>

#include "core/io/json.h"

void gpt_settings_free(GptEnv *env, GptSettings *settings) {
  if (settings->root.env == NULL) gpt_text_init(&settings->root, env);
  if (settings->model.env == NULL) gpt_text_init(&settings->model, env);
  gpt_text_free(&settings->root);
  gpt_text_free(&settings->model);
}

/* Appends an object's fields but those two. */
static void add_fields(GptText *out, const cJSON *object, const char *without, const char *nor) {
  const cJSON *each;
  cJSON_ArrayForEach(each, object) {
    if (strcmp(each->string, without) == 0 || strcmp(each->string, nor) == 0) continue;
    gpt_json_add_string(out, each->string, strlen(each->string));
    gpt_text_add(out, ": ");
    gpt_json_add(out, each);
    gpt_text_add(out, ",\n");
  }
}

bool gpt_settings_keep(GptEnv *env, GptSettings *settings, const cJSON *json) {
  gpt_text_init(&settings->root, env);
  gpt_text_init(&settings->model, env);
  add_fields(&settings->root, json, "added_tokens", "model");
  add_fields(&settings->model, cJSON_GetObjectItemCaseSensitive(json, "model"), "vocab", "merges");
  settings->has_processor = cJSON_GetObjectItemCaseSensitive(json, "post_processor") != NULL;
  return !settings->root.failed && !settings->model.failed;
}
