#include "core/base/env.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/numbers.h"
#include "core/base/utf8.h"

GptEnv *gpt_env_new(void) {
  GptEnv *env = calloc(1, sizeof *env);
  if (env == NULL) return NULL;
  env->recording = true;
  gpt_random_seed(&env->random, 0);
  return env;
}

void gpt_env_free(GptEnv *env) {
  if (env == NULL) return;
  gpt_trim(env);
  free(env);
}

/* The character that begins s, fit for a message; 0: its first byte is not. */
static size_t plain_length(const uint8_t *s, size_t n) {
  uint32_t code;
  size_t length = gpt_utf8_decode(s, n, &code);
  bool controls = code < 0x20 || (code >= 0x7f && code < 0xa0);
  return length != 0 && controls && code != '\n' && code != '\t' ? 0 : length;
}

/* All of text is plain up to there. */
static size_t plain_until(const uint8_t *s, size_t n) {
  size_t at = 0, step;
  while (at < n && (step = plain_length(s + at, n - at)) != 0) at += step;
  return at;
}

void gpt_make_plain(char *message) {
  size_t n = strnlen(message, GPT_ERROR_SIZE - 1), written = plain_until((const uint8_t *)message, n);
  if (written == n) return;
  char out[GPT_ERROR_SIZE];
  memcpy(out, message, written);
  for (size_t at = written, step; at < n && written < sizeof out - 8; at += step) {
    step = plain_length((const uint8_t *)message + at, n - at);
    if (step != 0) memcpy(out + written, message + at, step), written += step;
    else written += (size_t)sprintf(out + written, "\\x%02X", (uint8_t)message[at]), step = 1;
  }
  memcpy(message, out, written);
  message[written] = '\0';
}

static void leave_message(GptEnv *env, const char *format, va_list arguments) {
  gpt_format_list(env->error, sizeof env->error, format, arguments);
  gpt_make_plain(env->error);
  env->path[0] = '\0';
  env->host_error = env->passing = false;
}

bool gpt_fail(GptEnv *env, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  leave_message(env, format, arguments);
  va_end(arguments);
  return false;
}

void *gpt_fail_null(GptEnv *env, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  leave_message(env, format, arguments);
  va_end(arguments);
  return NULL;
}

bool gpt_fail_at(GptEnv *env, const char *format, ...) {
  char place[GPT_ERROR_SIZE], message[GPT_ERROR_SIZE];
  va_list arguments;
  va_start(arguments, format);
  gpt_format_list(place, sizeof place, format, arguments);
  va_end(arguments);
  memcpy(message, env->error, sizeof message);
  bool passing = env->passing;
  gpt_fail(env, "%s: %s", place, message);
  env->passing = passing;
  return false;
}

void gpt_fail_inside(GptEnv *env, const char *name) {
  char inner[GPT_PATH_SIZE];
  memcpy(inner, env->path, sizeof inner);
  const char *dot = inner[0] != '\0' ? "." : "";
  int written = snprintf(env->path, sizeof env->path, "%s%s%s", name, dot, inner);
  if (written >= (int)sizeof env->path) memcpy(env->path, inner, sizeof inner);
}

void gpt_take_error(GptEnv *env, char *text) {
  const char *colon = env->path[0] != '\0' ? ": " : "";
  int written = snprintf(text, GPT_ERROR_SIZE, "%s%s%s", env->path, colon, env->error);
  if (written >= GPT_ERROR_SIZE) memcpy(text + GPT_ERROR_SIZE - 4, "...", 4);
  env->error[0] = env->path[0] = '\0';
  env->host_error = env->passing = false;
}
