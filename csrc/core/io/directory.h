/*
 * A directory of files that belong together, while it is read or written. Who reads it holds a lock together with
 * others, who puts files into place holds it alone: so a reader never sees a save half done, and what a killed one left
 * (journal.h) is finished first or, where that cannot be, read where it lies. What a reader has opened meanwhile stays
 * as it was, whatever happens to its name later.
 */
#ifndef GPT_DIRECTORY_H
#define GPT_DIRECTORY_H

#include "core/io/journal.h"

typedef struct GptDirectory {
  GptEnv *env;
  int fd;             /* carries the lock; -1: no such directory, or none that may be opened */
  GptJournal journal; /* of a save that could not be finished */
  char *found;        /* the path last asked for */
  char path[];
} GptDirectory;

/* To read it. NULL and a message where another process has been saving there for GPT_LOCK_SECONDS, or where the system has
   no descriptor left for the lock. A directory that is not there is seen when its files are opened. */
GptDirectory *gpt_directory_read(GptEnv *env, const char *path);

/* To put files into place. NULL and a message also where an earlier save cannot be finished. */
GptDirectory *gpt_directory_write(GptEnv *env, const char *path);

/* The same for the directory that a file is to lie in. */
GptDirectory *gpt_directory_write_beside(GptEnv *env, const char *file);

void gpt_directory_close(GptDirectory *directory); /* NULL is fine */

/* Where the file of that name is to be read; stays until the next call. NULL without memory. */
const char *gpt_directory_path(GptDirectory *directory, const char *name);

/* Finishes an interrupted save of the directory that a file is to lie in, and removes what killed ones left of that
   file, also where a link leads. */
bool gpt_directory_tidy(GptEnv *env, const char *file);

/* Makes a directory, with `parents` those above it too, if absent. `made`: it was absent. */
bool gpt_directory_make(GptEnv *env, const char *path, bool parents, bool *made);

#endif
