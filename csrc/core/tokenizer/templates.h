/*
 * Chat templates (Jinja) as a tokenizer's files have them: the text of each by its name. The one that is used unless
 * another is asked for is "default". Nothing here runs them.
 */
#ifndef GPT_TEMPLATES_H
#define GPT_TEMPLATES_H

#include <cjson/cJSON.h>

#include "core/io/directory.h"

#define GPT_TEMPLATE_DEFAULT "default"
#define GPT_TEMPLATE_BYTES ((size_t)1 << 20) /* of one, at most */

typedef struct GptTemplate {
  char *name;
  char *text; /* zero-terminated */
  size_t length;
} GptTemplate;

typedef struct GptTemplates {
  GptTemplate *list; /* [count], in the order in which they came */
  size_t count, capacity;
} GptTemplates;

void gpt_templates_free(GptEnv *env, GptTemplates *templates);

/* The template of that name, or NULL. */
const GptTemplate *gpt_templates_find(const GptTemplates *templates, const char *name);

/* Sets the template of that name to a copy of n bytes; an empty one is none. What is longer than GPT_TEMPLATE_BYTES, or
   not UTF-8, or has a zero byte, is an error, and so is one name too many. */
bool gpt_templates_set(GptEnv *env, GptTemplates *templates, const char *name, const char *text, size_t n);

/* Sets all of the others. */
bool gpt_templates_add(GptEnv *env, GptTemplates *templates, const GptTemplates *others);

/* Reads "chat_template" of tokenizer_config.json (NULL: not there): a string, or a list of { name, template }. */
bool gpt_templates_read_config(GptEnv *env, GptTemplates *templates, const cJSON *config);

/* Reads chat_template.jinja, where it is there: it is the default one, whatever the config says. */
bool gpt_templates_read_file(GptEnv *env, GptTemplates *templates, GptDirectory *dir);

/* Both of a directory. */
bool gpt_templates_read(GptEnv *env, GptTemplates *templates, const char *dir);

#endif
