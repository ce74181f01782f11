/* Names of files: their directories, where links lead, and what lies there. Strings returned are the caller's. */
#ifndef GPT_PATHS_H
#define GPT_PATHS_H

#include <sys/types.h>

#include "core/base/env.h"

/* dir/name */
char *gpt_path_join(GptEnv *env, const char *dir, const char *name);

/* The directory a path lies in: "." for a plain name. */
char *gpt_path_directory(GptEnv *env, const char *path);

/* What stands behind the last slash; within path. */
const char *gpt_path_name(const char *path);

/* The path itself or, where it is a symbolic link, the one that it leads to in the end, be it there or not. NULL and a
   message where links go round in a circle, or cannot be read. */
char *gpt_path_follow(GptEnv *env, const char *path);

/* "a directory", "a FIFO", "a device", "a socket"; NULL for a regular file. */
const char *gpt_path_kind(mode_t mode);

#endif
