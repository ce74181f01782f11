/* A growing string, for everything that is printed. A failed allocation is remembered and told once, at the end. */
#ifndef GPT_TEXT_H
#define GPT_TEXT_H

#include "core/base/env.h"

typedef struct GptText {
  GptEnv *env;
  char *data;      /* zero-terminated once something was added */
  size_t length;
  size_t capacity;
  bool failed;
} GptText;

void gpt_text_init(GptText *text, GptEnv *env);
void gpt_text_free(GptText *text);

/* Appends; after a failure these do nothing. */
void gpt_text_add(GptText *text, const char *format, ...) GPT_PRINTF(2, 3);
void gpt_text_add_bytes(GptText *text, const char *bytes, size_t length);

#endif
