#include "core/base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/numbers.h"

void gpt_text_init(GptText *text, GptEnv *env) { *text = (GptText){.env = env}; }

void gpt_text_free(GptText *text) {
  gpt_free(text->env, text->data);
  gpt_text_init(text, text->env);
}

/* Makes room for that many more bytes and a terminator. */
static bool reserve_text(GptText *text, size_t more) {
  text->failed = text->failed || !GPT_GROW(text->env, text->data, text->capacity, text->length, more + 1);
  return !text->failed;
}

void gpt_text_add_bytes(GptText *text, const char *bytes, size_t length) {
  if (!reserve_text(text, length)) return;
  memcpy(text->data + text->length, bytes, length);
  text->length += length;
  text->data[text->length] = '\0';
}

void gpt_text_add(GptText *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = gpt_format_list(NULL, 0, format, arguments);
  va_end(arguments);
  if (length < 0 || !reserve_text(text, (size_t)length)) return;
  va_start(arguments, format);
  gpt_format_list(text->data + text->length, (size_t)length + 1, format, arguments);
  va_end(arguments);
  text->length += (size_t)length;
}
