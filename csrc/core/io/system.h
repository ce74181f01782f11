/*
 * The system's calls that change files, in one place. Specs let any of them fail (GptFileFaults), and read in which
 * order they came: so every moment at which a save can be interrupted is tried, without a process to kill.
 */
#ifndef GPT_SYSTEM_H
#define GPT_SYSTEM_H

#include <sys/types.h>

#include "core/base/text.h"

/* What specs ask for. Calls are named "open", "write", "sync", "rename", "unlink" and "lock". */
typedef struct GptFileFaults {
  int64_t calls;  /* of that name, so far */
  int64_t at;     /* the call that fails, from 1; 0: none */
  bool stays;     /* and all calls of that name behind it */
  bool kills;     /* and all calls behind it, whatever their name: as where the process was killed there */
  char call[8];   /* only calls of that name are counted; empty: all */
  GptText log;    /* a line for each call that succeeded: its name, a tab, its path; for rename both paths */
} GptFileFaults;

/* A descriptor, or -1 and errno, as all of these set it. */
int gpt_system_open(GptEnv *env, const char *path, int flags, mode_t mode);

/* As write; `path` is for the log. */
ssize_t gpt_system_write(GptEnv *env, int fd, const char *path, const void *bytes, size_t size);

/* Brings a file or a directory to the disk; true also where its file system cannot. */
bool gpt_system_sync(GptEnv *env, int fd, const char *path);

bool gpt_system_rename(GptEnv *env, const char *from, const char *to);
bool gpt_system_unlink(GptEnv *env, const char *path);

/* Locks an open file or directory for itself (exclusive) or together with others, until it is closed; waits for up to
   GPT_LOCK_SECONDS. False and EWOULDBLOCK where another one holds it all that time; true, without a lock, where the
   file system has none. */
#define GPT_LOCK_SECONDS 30
bool gpt_system_lock(GptEnv *env, int fd, const char *path, bool exclusive);

#endif
