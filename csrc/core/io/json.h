/* JSON: files read by cJSON, with the checks it leaves out, and strings written. */
#ifndef GPT_JSON_H
#define GPT_JSON_H

#include <cjson/cJSON.h>

#include "core/base/env.h"
#include "core/base/text.h"

/* The document in a text that a zero byte follows; gpt_json_free frees it, and until then it counts as live. What is
   not JSON, not UTF-8, cut short or nested more than 1,000 deep, and a NUL in a string (cJSON would end the string
   there), is an error that begins with `what` and says near which line and column. Memory that runs out is another one.
   More lenient than RFC 8259, as cJSON is: numbers like 01 and 1., control characters inside strings and as white
   space, a byte order mark; a key may come twice. */
cJSON *gpt_json_parse(GptEnv *env, const char *what, const char *text, size_t size);

/* The same of a file. */
cJSON *gpt_json_read(GptEnv *env, const char *path);

void gpt_json_free(GptEnv *env, cJSON *json); /* NULL is fine */

/* A whole number from 0 to most; otherwise -1. */
int64_t gpt_json_whole(const cJSON *value, int64_t most);

/* Appends text (UTF-8) as a JSON string, quotes included. */
void gpt_json_add_string(GptText *out, const char *text, size_t length);

/* Appends a document as text. */
void gpt_json_add(GptText *out, const cJSON *value);

/* Text as a message shows it: at most 40 bytes of it, whole characters, in double quotes, control characters as \xNN.
   Writes into out (GPT_QUOTE_SIZE bytes) and returns out. */
#define GPT_QUOTE_SIZE 176
const char *gpt_quote(const char *text, size_t length, char *out);

#endif
