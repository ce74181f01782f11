/* What is looked at after each input. */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "core/base/parallel.h"
#include "fuzz.h"

#define MOST_MEMORY ((size_t)64 << 20) /* an input of a few kilobytes may take that much at a time */

typedef struct State {
  size_t live, mapped;
  int file; /* the descriptor that the next file would get */
} State;

void (*fuzz_collect)(void);

void fuzz_found(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fputs("FOUND: ", stderr);
  vfprintf(stderr, format, arguments);
  fputc('\n', stderr);
  va_end(arguments);
  abort();
}

/* Is it a line that a terminal shows as it is? Names out of files are quoted. */
static bool is_plain(const char *text) {
  const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
  utf8proc_int32_t character;
  for (; *at != '\0'; at += utf8proc_iterate(at, -1, &character))
    if (utf8proc_iterate(at, -1, &character) < 0 || ((character < 32 || (character >= 127 && character < 160)) && character != '\n' && character != '\t'))
      return false;
  return true;
}

void fuzz_check_message(const char *message, const FuzzInput *input) {
  if (message[0] == '\0') fuzz_found("an error without a message");
  if (strlen(message) >= GPT_ERROR_SIZE) fuzz_found("a message of %zu bytes: %s", strlen(message), message);
  if (!is_plain(message)) fuzz_found("a message with bytes that are no text: %s", message);
  if (input->path != NULL && strstr(message, input->path) == NULL && strstr(message, "not enough memory") == NULL)
    fuzz_found("a message that does not name the file: %s", message);
}

static State look(const GptEnv *env) {
  int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  close(file);
  return (State){.live = env->memory.live, .mapped = env->memory.mapped, .file = file};
}

static State settle(GptEnv *env) {
  State now = look(env);
  if (fuzz_collect == NULL) return now;
  return fuzz_collect(), look(env);
}

static bool is_more(State now, State before) {
  return now.live > before.live || now.mapped > before.mapped || now.file != before.file;
}

static void run_once(GptEnv *env, const FuzzTarget *target, FuzzInput *input) {
  fuzz_place(target, input);
  env->memory.peak = env->memory.live;
  size_t before = env->memory.live;
  if (!target->run(env, input)) {
    char message[GPT_ERROR_SIZE];
    gpt_take_error(env, message);
    fuzz_check_message(message, input);
  }
  if (env->memory.peak - before > MOST_MEMORY)
    fuzz_found("%zu bytes of memory for an input of %zu", env->memory.peak - before, input->size);
  if (env->depth != 0 || !env->recording || env->freeing || env->collecting || env->undrawn || env->pass != NULL)
    fuzz_found("the environment is not as it was");
}

/* What something keeps once, such as a table that is made at its first use, is no leak; what every run leaves is one. */
void fuzz_run(GptEnv *env, const FuzzTarget *target, FuzzInput *input) {
  static State base;
  static bool begun;
  run_once(env, target, input);
  State now = look(env);
  if (begun && now.live == base.live && now.mapped == base.mapped && now.file == base.file) return;
  now = settle(env);
  for (int i = 0; i < 2 && (!begun || is_more(now, base)); i++) {
    State before = now;
    run_once(env, target, input);
    now = settle(env);
    if (!is_more(now, before)) break;
    if (i > 0)
      fuzz_found("a leak: live bytes %zu, then %zu; mapped %zu, %zu; next descriptor %d, %d", before.live, now.live,
                 before.mapped, now.mapped, before.file, now.file);
  }
  base = now;
  begun = true;
}
