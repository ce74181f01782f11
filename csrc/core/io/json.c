#include "core/io/json.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/io/files.h"
#include "core/base/memory.h"
#include "core/base/numbers.h"
#include "core/base/utf8.h"

#define MOST_BYTES ((size_t)256 << 20) /* of a file; the largest vocabularies in use take 35 MB */

#define AS_TEXT(number) #number
#define TEXT_OF(number) AS_TEXT(number)
#define NESTING TEXT_OF(CJSON_NESTING_LIMIT)

/* Where an escape stands that cJSON takes for a NUL, which ends its string: \u0000, or \u without four digits; or size.
   A zero lies behind the text. */
static size_t find_nul_escape(const char *text, size_t size) {
  for (size_t at = 0; at < size; at++) {
    if (text[at] != '\\') continue;
    if (text[++at] != 'u') continue;
    int digits = 0;
    while (digits < 4 && isxdigit((unsigned char)text[at + 1 + digits])) digits++;
    if (digits < 4 || memcmp(text + at + 1, "0000", 4) == 0) return at - 1;
  }
  return size;
}

/* malloc's own share of a value and of a string. */
#define VALUE_SHARE 16
#define STRING_SHARE 32

/* At most what the document takes, whatever the text says. */
static size_t document_bytes(const char *text, size_t size) {
  size_t values = 1, quotes = 0;
  for (size_t at = 0; at < size; at++) {
    values += text[at] == ',' || text[at] == '[' || text[at] == '{';
    quotes += text[at] == '"';
  }
  return size + values * (sizeof(cJSON) + VALUE_SHARE) + quotes / 2 * STRING_SHARE;
}

static size_t string_bytes(const char *string) { return string != NULL ? strlen(string) + STRING_SHARE : 0; }

/* What a document takes. cJSON asks malloc itself; a hook would be the whole process's, and the host may use it too. */
static size_t tree_bytes(const cJSON *json) {
  size_t bytes = 0;
  for (const cJSON *at = json; at != NULL; at = at->next) {
    bytes += sizeof *at + VALUE_SHARE + string_bytes(at->string) + string_bytes(at->valuestring);
    bytes += tree_bytes(at->child);
  }
  return bytes;
}

static cJSON *count_document(GptEnv *env, cJSON *json) {
  gpt_memory_count(env, tree_bytes(json));
  return json;
}

void gpt_json_free(GptEnv *env, cJSON *json) {
  if (json == NULL) return;
  gpt_memory_discount(env, tree_bytes(json));
  cJSON_Delete(json);
}

/* An object or array that nothing closes at the end of the text. */
static bool is_open(const char *text, size_t size) {
  size_t first = strspn(text, " \t\r\n");
  while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) size--;
  char last = size > 0 ? text[size - 1] : '\0';
  return (text[first] == '{' && last != '}') || (text[first] == '[' && last != ']');
}

/* Are as many arrays and objects open at that byte as cJSON goes into? */
static bool is_deepest(const char *text, size_t at) {
  size_t depth = 0;
  bool inside = false; /* a string */
  for (size_t i = 0; i < at; i++) {
    if (text[i] == '"') inside = !inside;
    else if (inside) i += text[i] == '\\';
    else if (text[i] == '[' || text[i] == '{') depth++;
    else if (text[i] == ']' || text[i] == '}') depth -= depth > 0;
  }
  return depth >= CJSON_NESTING_LIMIT && (text[at] == '[' || text[at] == '{');
}

/* What is wrong at the byte that cJSON stopped at, where that can be told. */
static const char *reason_at(const char *text, size_t size, size_t at) {
  if (size == 0) return ": it is empty";
  if (is_deepest(text, at)) return ": more than " NESTING " levels of arrays and objects";
  if (strncmp(text + at, "\\ud", 3) == 0 || strncmp(text + at, "\\uD", 3) == 0) return ": half of a surrogate pair";
  return is_open(text, size) ? ": it seems cut short" : "";
}

static void *fail_near(GptEnv *env, const char *what, const char *text, size_t at, const char *reason) {
  size_t line = 1, column = 1;
  for (size_t i = 0; i < at; i++) {
    column = text[i] == '\n' ? 1 : column + 1;
    line += text[i] == '\n';
  }
  return gpt_fail_null(env, "%s: not valid JSON near line %zu, column %zu%s", what, line, column, reason);
}

cJSON *gpt_json_parse(GptEnv *env, const char *what, const char *text, size_t size) {
  const char *end = text, *nul = memchr(text, '\0', size);
  size_t invalid = gpt_utf8_invalid((const uint8_t *)text, size), escape = find_nul_escape(text, size);
  if (invalid < size) return fail_near(env, what, text, invalid, ": not UTF-8");
  if (nul != NULL) return fail_near(env, what, text, (size_t)(nul - text), ": a NUL character");
  if (escape < size) return fail_near(env, what, text, escape, ": a character from \\u0001 to \\uffff expected");
  if (!gpt_memory_fits(env, document_bytes(text, size))) return NULL;
  errno = 0;
  GptLocale locale = gpt_numbers_begin(); /* cJSON asks it for the decimal point */
  cJSON *json = cJSON_ParseWithLengthOpts(text, size + 1, &end, true);
  gpt_numbers_end(locale);
  if (json != NULL) return count_document(env, json);
  if (errno == ENOMEM) return gpt_fail_null(env, "%s: not enough memory to read %zu bytes of JSON", what, size);
  size_t at = (size_t)(end - text);
  return fail_near(env, what, text, at, reason_at(text, size, at));
}

cJSON *gpt_json_read(GptEnv *env, const char *path) {
  size_t size;
  char *text = gpt_file_read(env, path, MOST_BYTES, &size);
  if (text == NULL) return NULL;
  cJSON *json = gpt_json_parse(env, path, text, size);
  gpt_free(env, text);
  return json;
}

int64_t gpt_json_whole(const cJSON *value, int64_t most) {
  if (!cJSON_IsNumber(value)) return -1;
  double number = value->valuedouble;
  if (!(number >= 0 && number <= (double)most)) return -1;
  return (double)(int64_t)number == number ? (int64_t)number : -1;
}

void gpt_json_add_string(GptText *out, const char *text, size_t length) {
  gpt_text_add_bytes(out, "\"", 1);
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)text[i];
    if (c == '"' || c == '\\') gpt_text_add_bytes(out, "\\", 1);
    if (c < 0x20) gpt_text_add(out, "\\u%04x", c);
    else gpt_text_add_bytes(out, text + i, 1);
  }
  gpt_text_add_bytes(out, "\"", 1);
}

void gpt_json_add(GptText *out, const cJSON *value) {
  GptLocale locale = gpt_numbers_begin();
  char *text = cJSON_PrintUnformatted(value);
  gpt_numbers_end(locale);
  out->failed = out->failed || (text == NULL && !gpt_fail(out->env, "not enough memory to write JSON"));
  if (text != NULL) gpt_text_add_bytes(out, text, strlen(text));
  cJSON_free(text);
}

const char *gpt_quote(const char *text, size_t length, char *out) {
  const uint8_t *s = (const uint8_t *)text;
  size_t at = 0, written = 1, step;
  uint32_t code;
  out[0] = '"';
  for (; at < length && at < 40; at += step) {
    step = gpt_utf8_decode(s + at, length - at, &code);
    if (step == 0 || code < 0x20 || code == 0x7f) {
      written += (size_t)sprintf(out + written, "\\x%02X", s[at]);
      step = 1;
    } else {
      memcpy(out + written, s + at, step);
      written += step;
    }
  }
  strcpy(out + written, at < length ? "...\"" : "\"");
  return out;
}
