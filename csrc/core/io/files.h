/* Files that are read: opened only where they are regular ones, and read whole. */
#ifndef GPT_FILES_H
#define GPT_FILES_H

#include "core/base/env.h"

/* A descriptor of a regular file, and its size; -1 and a message, which begins with the path, for anything else. Never
   waits, as opening a FIFO would. */
int gpt_file_open(GptEnv *env, const char *path, size_t *size);

/* Reads `size` bytes from `offset` on. 0, or errno, or -1 where the file ends before. */
int gpt_file_read_at(int fd, void *to, size_t size, size_t offset);

/* All bytes of a file of at most that many, and a zero after them; the caller frees them. */
char *gpt_file_read(GptEnv *env, const char *path, size_t most, size_t *size);

/* A regular file (or a link to one) of that name is there. */
bool gpt_file_exists(const char *path);

#endif
