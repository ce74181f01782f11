#include "core/json.h"

#include <stdio.h>
#include <string.h>

#include "core/files.h"
#include "core/memory.h"
#include "core/utf8.h"

/* Where the escape of a NUL stands, or size. */
static size_t find_nul_escape(const char *data, size_t size) {
  for (size_t at = 0; at + 6 <= size; at++) {
    if (data[at] != '\\') continue;
    if (memcmp(data + at + 1, "u0000", 5) == 0) return at;
    at++; /* the escaped character */
  }
  return size;
}

/* Neither } nor ] ends the text. */
static bool is_open(const char *data, size_t size) {
  while (size > 0 && strchr(" \t\r\n", data[size - 1]) != NULL) size--;
  return size == 0 || (data[size - 1] != '}' && data[size - 1] != ']');
}

static cJSON *parse(GptEnv *env, const char *path, const char *data, size_t size) {
  const char *end = data;
  size_t invalid = gpt_utf8_invalid((const uint8_t *)data, size), nul = find_nul_escape(data, size);
  if (size == 0) return gpt_fail_null(env, "%s: the file is empty", path);
  if (invalid < size) return gpt_fail_null(env, "%s: byte %zu is not UTF-8", path, invalid + 1);
  if (memchr(data, '\0', size) != NULL || nul < size)
    return gpt_fail_null(env, "%s: a NUL character in JSON is not supported", path);
  if (!gpt_memory_fits(env, size * 4)) return NULL; /* about what the document takes */
  cJSON *json = cJSON_ParseWithLengthOpts(data, size + 1, &end, true);
  if (json != NULL) return json;
  if (is_open(data, size))
    return gpt_fail_null(env, "%s: cut short, or not JSON: the last of its %zu bytes closes nothing", path, size);
  return gpt_fail_null(env, "%s: not JSON, near byte %zu of %zu", path, (size_t)(end - data) + 1, size);
}

cJSON *gpt_json_read(GptEnv *env, const char *path) {
  size_t size;
  char *data = gpt_file_read(env, path, &size);
  if (data == NULL) return NULL;
  cJSON *json = parse(env, path, data, size);
  gpt_free(env, data);
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
