/*
 * Temporary files of saves in progress. NAME is written as ".NAME.gpt-TAG" beside it, where TAG is 24 hexadecimal
 * digits: the process's id, then a random number. A file of exactly that form whose writer lives no more (a writer
 * holds a lock on it) is what a killed save left, and may be removed.
 */
#ifndef GPT_TEMPORARY_H
#define GPT_TEMPORARY_H

#include "core/base/env.h"

#define GPT_TAG_DIGITS 24
#define GPT_TAG_SIZE (GPT_TAG_DIGITS + 1)

/* A tag that nobody has. */
void gpt_temporary_tag(char *tag);

/* Whether text begins with a tag. */
bool gpt_temporary_is_tag(const char *text);

/* The temporary's path for a file `name` whose bytes are to lie at `target`; the caller frees it. */
char *gpt_temporary_path(GptEnv *env, const char *target, const char *name, const char *tag);

/* Removes what killed saves left in a directory, of that name or, with NULL, of any. The directory is locked, and no
   list of a save stands in it. */
void gpt_temporary_sweep(GptEnv *env, const char *directory, const char *name);

#endif
