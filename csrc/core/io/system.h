/*
 * The system's calls on files, in one place. Specs let any of them fail (GptFileFaults), and read in which order those
 * came that change something: so every moment at which a load or a save can be interrupted is tried, without a process to
 * kill. All set errno where they fail.
 */
#ifndef GPT_SYSTEM_H
#define GPT_SYSTEM_H

#include <dirent.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "core/base/text.h"

/* What specs ask for. Calls have the names of the functions below. */
typedef struct GptFileFaults {
  _Atomic int64_t calls; /* of that name, so far */
  int64_t at;     /* the call that fails, from 1; 0: none */
  bool stays;     /* and all calls of that name behind it */
  bool kills;     /* and all calls behind it, whatever their name: as where the process was killed there */
  bool halves;    /* a read or a write does not fail at first, but moves half of the bytes */
  int reason;     /* errno; 0: what is usual for the call. -1: a read finds the end of the file */
  char call[8];   /* only calls of that name are counted; empty: all */
  char hit[8];    /* the first call that failed */
  GptText log;    /* a line for each call that changed something, or a lock: its name, a tab, its path; for rename both */
} GptFileFaults;

/* "open": a descriptor, or -1. */
int gpt_system_open(GptEnv *env, const char *path, int flags, mode_t mode);

/* "read": as pread; on any thread. */
ssize_t gpt_system_read(GptEnv *env, int fd, void *to, size_t size, size_t offset);

/* "write": as write; `path` is for the log. */
ssize_t gpt_system_write(GptEnv *env, int fd, const char *path, const void *bytes, size_t size);

/* "map": a private, writable mapping of a whole file; NULL on failure. */
void *gpt_system_map(GptEnv *env, int fd, size_t size);

/* "sync": brings a file or a directory to the disk; true also where its file system cannot. */
bool gpt_system_sync(GptEnv *env, int fd, const char *path);

bool gpt_system_rename(GptEnv *env, const char *from, const char *to);
bool gpt_system_unlink(GptEnv *env, const char *path);
bool gpt_system_mkdir(GptEnv *env, const char *path);
bool gpt_system_rmdir(GptEnv *env, const char *path);

/* "stat": of a path, and not of what a link leads to (lstat), or of an open file (fstat). */
bool gpt_system_stat(GptEnv *env, const char *path, struct stat *about);
bool gpt_system_lstat(GptEnv *env, const char *path, struct stat *about);
bool gpt_system_fstat(GptEnv *env, int fd, struct stat *about);

/* "link": as readlink. */
ssize_t gpt_system_readlink(GptEnv *env, const char *path, char *to, size_t size);

/* "owner", "mode": as fchown and fchmod. */
bool gpt_system_owner(GptEnv *env, int fd, uid_t user, gid_t group);
bool gpt_system_mode(GptEnv *env, int fd, mode_t mode);

/* "list": as opendir. */
DIR *gpt_system_list(GptEnv *env, const char *path);

/* "lock": locks an open file or directory for itself (exclusive) or together with others, until it is closed; waits for up
   to GPT_LOCK_SECONDS. False and EWOULDBLOCK where another one holds it all that time; true, without a lock, where the
   file system has none. */
#define GPT_LOCK_SECONDS 30
bool gpt_system_lock(GptEnv *env, int fd, const char *path, bool exclusive);

/* "try": locks it for itself without waiting. EWOULDBLOCK: another one holds it; other reasons: there are no locks. */
bool gpt_system_try_lock(GptEnv *env, int fd);

#endif
