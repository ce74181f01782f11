/* Files that are read: opened only where they are regular ones, and read whole. */
#ifndef GPT_FILES_H
#define GPT_FILES_H

#include <sys/stat.h>

#include "core/base/env.h"

/* A descriptor of a regular file, and its size; -1 and a message, which begins with the path, for anything else. Never
   waits, as opening a FIFO would. */
int gpt_file_open(GptEnv *env, const char *path, size_t *size);

/* Reads `size` bytes from `offset` on. 0, or errno, or -1 where the file ends before. On any thread. */
int gpt_file_read_at(GptEnv *env, int fd, void *to, size_t size, size_t offset);

/* All bytes of a file of at most that many, and a zero after them; the caller frees them. */
char *gpt_file_read(GptEnv *env, const char *path, size_t most, size_t *size);

/*
 * What lies at a path, at the end of links. `there`: anything does. False and a message where that cannot be told: a
 * directory that may not be searched, a disk that fails. So what is there never passes for what is not.
 */
bool gpt_file_look(GptEnv *env, const char *path, struct stat *about, bool *there);

/* Whether a regular file is there; fails as gpt_file_look. */
bool gpt_file_exists(GptEnv *env, const char *path, bool *there);

/* After a failed look at a path: there can be nothing of that name. */
bool gpt_file_missing(int reason);

#endif
