#include "core/base/numbers.h"

#include <stdio.h>

/* Where the C library gives no locale, which it need not allocate, the thread's own stays. */
GptLocale gpt_numbers_begin(void) {
  GptLocale locale = {.plain = newlocale(LC_ALL_MASK, "C", (locale_t)0)};
  if (locale.plain != (locale_t)0) locale.before = uselocale(locale.plain);
  return locale;
}

void gpt_numbers_end(GptLocale locale) {
  if (locale.plain == (locale_t)0) return;
  uselocale(locale.before);
  freelocale(locale.plain);
}

int gpt_format_list(char *out, size_t size, const char *format, va_list arguments) {
  GptLocale locale = gpt_numbers_begin();
  int length = vsnprintf(out, size, format, arguments);
  gpt_numbers_end(locale);
  return length;
}

int gpt_format(char *out, size_t size, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int length = gpt_format_list(out, size, format, arguments);
  va_end(arguments);
  return length;
}
