/*
 * Fuzzing by libFuzzer: one program, and a table of targets. A target is what reads one kind of input: functions of the
 * core (targets.c), or a function in Lua (targets.lua), whose lines count as coverage too.
 *
 * What is found is a crash, whatever the sanitizers see, an input that takes too long or too much memory, and what is
 * looked at after each input (checks.c): live and mapped bytes and open files are as before, the environment is as it
 * was, and an error's message is one for people.
 */
#ifndef GPT_FUZZ_H
#define GPT_FUZZ_H

#include "core/base/env.h"

typedef struct FuzzInput {
  const uint8_t *data;
  size_t size;
  const char *path; /* where it lies: a file, or the directory of its parts; NULL: neither */
} FuzzInput;

typedef struct FuzzTarget {
  const char *name;
  const char *file;         /* the input is put into a file of that name; or */
  const char *const *parts; /* it is cut into these files (NULL-terminated), by lines "==== NAME" before each */
  bool (*run)(GptEnv *env, const FuzzInput *input); /* false: refused, with a message in env */
} FuzzTarget;

/* The targets that are written in C; the last has no name. */
extern const FuzzTarget fuzz_targets[];

/* A target that is written in Lua, and its state's environment; NULL: there is none of that name. */
const FuzzTarget *fuzz_lua_target(const char *name, GptEnv **env);

/* Prints the names of those, one a line. */
void fuzz_print_lua_targets(void);

/* The directory that inputs are put into, made for this process; ends with no slash. */
const char *fuzz_directory(void);

/* Puts an input where the target wants it, and leaves the path in it. */
void fuzz_place(const FuzzTarget *target, FuzzInput *input);

/* What was found, to stderr; ends the process, and libFuzzer keeps the input. */
_Noreturn void fuzz_found(const char *format, ...) GPT_PRINTF(1, 2);

/* An error's message: not empty, not too long, UTF-8 without control characters; and it names the path, if there is one. */
void fuzz_check_message(const char *message, const FuzzInput *input);

/* Runs a target, and looks at the environment after that. */
void fuzz_run(GptEnv *env, const FuzzTarget *target, FuzzInput *input);

/* Lets the host drop its garbage; set by a target in Lua. */
extern void (*fuzz_collect)(void);

#endif
