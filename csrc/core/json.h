/* JSON: files read by cJSON, with the checks it leaves out, and strings written. */
#ifndef GPT_JSON_H
#define GPT_JSON_H

#include <cjson/cJSON.h>

#include "core/env.h"
#include "core/text.h"

/* The document in a file; cJSON_Delete frees it. What is not JSON, not UTF-8, cut short, or has a NUL in
   a string (cJSON would end the string there) is an error that names the file. */
cJSON *gpt_json_read(GptEnv *env, const char *path);

/* A whole number from 0 to most; otherwise -1. */
int64_t gpt_json_whole(const cJSON *value, int64_t most);

/* Appends text (UTF-8) as a JSON string, quotes included. */
void gpt_json_add_string(GptText *out, const char *text, size_t length);

/* Text as a message shows it: at most 40 bytes of it, whole characters, in double quotes, control characters as \xNN.
   Writes into out (GPT_QUOTE_SIZE bytes) and answers out. */
#define GPT_QUOTE_SIZE 176
const char *gpt_quote(const char *text, size_t length, char *out);

#endif
