#include "core/base/env.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/base/numbers.h"
#include "core/base/printable.h"

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

/* A number or a pointer, and never 0. */
static uintptr_t this_thread(void) { return (uintptr_t)pthread_self(); }

uintptr_t gpt_env_enter(GptEnv *env) {
  uintptr_t before = atomic_load_explicit(&env->inside, memory_order_relaxed);
  if (before == 0) atomic_store_explicit(&env->inside, this_thread(), memory_order_relaxed);
  return before;
}

void gpt_env_leave(GptEnv *env, uintptr_t before) {
  atomic_store_explicit(&env->inside, before, memory_order_relaxed);
}

bool gpt_env_elsewhere(GptEnv *env) {
  uintptr_t inside = atomic_load_explicit(&env->inside, memory_order_relaxed);
  return inside != 0 && inside != this_thread();
}

void gpt_make_plain(char *message) {
  char out[GPT_ERROR_SIZE];
  gpt_printable(out, sizeof out, message);
  strcpy(message, out);
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
