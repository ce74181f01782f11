/* Numbers as text, and back: with a point, whatever the host's locale (setlocale) makes of it. */
#ifndef GPT_NUMBERS_H
#define GPT_NUMBERS_H

#include <locale.h>
#include <stdarg.h>
#include <stddef.h>

#include "core/base/env.h"

/* The calling thread's locale while it is put aside; the process's and other threads' stay as they are. */
typedef struct GptLocale {
  locale_t plain, before;
} GptLocale;

/* Between these two the C library reads and writes numbers as in the C locale. */
GptLocale gpt_numbers_begin(void);
void gpt_numbers_end(GptLocale locale);

/* snprintf and vsnprintf, with a point in every number. */
int gpt_format(char *out, size_t size, const char *format, ...) GPT_PRINTF(3, 4);
int gpt_format_list(char *out, size_t size, const char *format, va_list arguments);

#endif
