/* Whole files, read at once, and replaced so that the old ones stay whole until the new ones are. */
#ifndef GPT_FILES_H
#define GPT_FILES_H

#include "core/base/env.h"
#include "core/base/text.h"

/* A regular file (or a link to one) of that name is there. */
bool gpt_file_exists(const char *path);

/* dir/name; the caller frees it. */
char *gpt_file_path(GptEnv *env, const char *dir, const char *name);

/* All bytes of a file and a zero after them; the caller frees them. */
char *gpt_file_read(GptEnv *env, const char *path, size_t *size);

/* A file about to be written. */
typedef struct GptNewFile {
  const char *name;
  GptText text;
} GptNewFile;

#define GPT_MOST_NEW_FILES 8

/* Puts at most that many files into a directory, which is made if absent (its parents too). All are whole on the disk
   before the first takes its name, in the order given: on failure nothing has changed, unless a rename itself
   failed. */
bool gpt_files_replace(GptEnv *env, const char *dir, const GptNewFile *files, size_t count);

#endif
