#include "core/tokenizer/templates.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"
#include "core/io/files.h"
#include "core/io/json.h"

#define CONFIG "tokenizer_config.json"
#define FILE_NAME "chat_template.jinja"
#define MOST_TEMPLATES 64

static void free_template(GptEnv *env, GptTemplate *template) {
  gpt_free(env, template->name);
  gpt_free(env, template->text);
}

void gpt_templates_free(GptEnv *env, GptTemplates *templates) {
  for (size_t i = 0; i < templates->count; i++) free_template(env, &templates->list[i]);
  gpt_free(env, templates->list);
  *templates = (GptTemplates){0};
}

const GptTemplate *gpt_templates_find(const GptTemplates *templates, const char *name) {
  for (size_t i = 0; i < templates->count; i++)
    if (strcmp(templates->list[i].name, name) == 0) return &templates->list[i];
  return NULL;
}

static void remove_template(GptEnv *env, GptTemplates *templates, const char *name) {
  for (size_t i = 0; i < templates->count; i++) {
    if (strcmp(templates->list[i].name, name) != 0) continue;
    free_template(env, &templates->list[i]);
    templates->count--;
    memmove(&templates->list[i], &templates->list[i + 1], (templates->count - i) * sizeof *templates->list);
    return;
  }
}

static bool check_template_text(GptEnv *env, const char *name, const char *text, size_t n) {
  char quoted[GPT_QUOTE_SIZE];
  gpt_quote(name, strlen(name), quoted);
  if (n > GPT_TEMPLATE_BYTES)
    return gpt_fail(env, "the chat template %s has %zu bytes; at most %zu are allowed", quoted, n, GPT_TEMPLATE_BYTES);
  if (gpt_utf8_invalid((const uint8_t *)text, n) != n || memchr(text, '\0', n) != NULL)
    return gpt_fail(env, "the chat template %s is not UTF-8, or has a zero byte", quoted);
  return true;
}

static bool copy_template(GptEnv *env, GptTemplate *copy, const char *name, const char *text, size_t n) {
  *copy = (GptTemplate){.name = gpt_copy_string(env, name), .text = gpt_alloc(env, n + 1), .length = n};
  if (copy->name == NULL || copy->text == NULL) return free_template(env, copy), false;
  memcpy(copy->text, text, n);
  copy->text[n] = '\0';
  return true;
}

bool gpt_templates_set(GptEnv *env, GptTemplates *templates, const char *name, const char *text, size_t n) {
  GptTemplate copy;
  if (n == 0) return remove_template(env, templates, name), true;
  if (!check_template_text(env, name, text, n)) return false;
  if (templates->count >= MOST_TEMPLATES && gpt_templates_find(templates, name) == NULL)
    return gpt_fail(env, "more than %d chat templates", MOST_TEMPLATES);
  if (!GPT_GROW(env, templates->list, templates->capacity, templates->count, 1)) return false;
  if (!copy_template(env, &copy, name, text, n)) return false;
  remove_template(env, templates, name);
  templates->list[templates->count++] = copy;
  return true;
}

bool gpt_templates_add(GptEnv *env, GptTemplates *templates, const GptTemplates *others) {
  for (size_t i = 0; i < others->count; i++) {
    const GptTemplate *each = &others->list[i];
    if (!gpt_templates_set(env, templates, each->name, each->text, each->length)) return false;
  }
  return true;
}

static bool set_text(GptEnv *env, GptTemplates *templates, const char *name, const char *text) {
  return gpt_templates_set(env, templates, name, text, strlen(text));
}

/* [{ "name": "default", "template": "..." }, ...] */
static bool read_named(GptEnv *env, GptTemplates *templates, const cJSON *list) {
  const cJSON *each;
  if (cJSON_GetArraySize(list) > MOST_TEMPLATES)
    return gpt_fail(env, "chat_template has %d templates; at most %d are allowed", cJSON_GetArraySize(list),
                    MOST_TEMPLATES);
  cJSON_ArrayForEach(each, list) {
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(each, "name"));
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(each, "template"));
    if (name == NULL || text == NULL)
      return gpt_fail(env, "chat_template: each of a list needs \"name\" and \"template\" (strings)");
    if (!set_text(env, templates, name, text)) return false;
  }
  return true;
}

bool gpt_templates_read_config(GptEnv *env, GptTemplates *templates, const cJSON *config) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(config, "chat_template");
  if (value == NULL || cJSON_IsNull(value)) return true;
  if (cJSON_IsString(value)) return set_text(env, templates, GPT_TEMPLATE_DEFAULT, value->valuestring);
  if (cJSON_IsArray(value)) return read_named(env, templates, value);
  return gpt_fail(env, "chat_template: a string, or a list of named ones, expected");
}

bool gpt_templates_read_file(GptEnv *env, GptTemplates *templates, GptDirectory *dir) {
  size_t size;
  bool there;
  const char *path = gpt_directory_path(dir, FILE_NAME);
  if (path == NULL || !gpt_file_exists(env, path, &there)) return false;
  if (!there) return true;
  char *text = gpt_file_read(env, path, GPT_TEMPLATE_BYTES, &size);
  if (text == NULL) return false;
  bool good = gpt_templates_set(env, templates, GPT_TEMPLATE_DEFAULT, text, size);
  gpt_free(env, text);
  return good || gpt_fail_at(env, "%s", path);
}

static bool read_config_file(GptEnv *env, GptTemplates *templates, GptDirectory *dir) {
  bool there;
  const char *path = gpt_directory_path(dir, CONFIG);
  if (path == NULL || !gpt_file_exists(env, path, &there)) return false;
  if (!there) return true;
  cJSON *config = gpt_json_read(env, path);
  if (config == NULL) return false;
  bool good = gpt_templates_read_config(env, templates, config);
  gpt_json_free(env, config);
  return good || gpt_fail_at(env, "%s", path);
}

bool gpt_templates_read(GptEnv *env, GptTemplates *templates, const char *path) {
  GptDirectory *dir = gpt_directory_read(env, path);
  bool good = dir != NULL && read_config_file(env, templates, dir) && gpt_templates_read_file(env, templates, dir);
  gpt_directory_close(dir);
  return good;
}
