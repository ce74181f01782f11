#include "core/io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP ((long)5000000) /* nanoseconds between two tries */

/* Whether a spec wants this call to fail; sets errno. */
static bool fails(GptEnv *env, const char *call, int reason) {
  GptFileFaults *faults = env->file_faults;
  if (faults == NULL) return false;
  errno = reason;
  if (faults->kills && faults->at > 0 && faults->calls >= faults->at) return true;
  if (faults->call[0] != '\0' && strcmp(faults->call, call) != 0) return false;
  faults->calls++;
  return faults->calls == faults->at || (faults->stays && faults->at > 0 && faults->calls > faults->at);
}

static void note(GptEnv *env, const char *call, const char *path, const char *to) {
  if (env->file_faults == NULL) return;
  int reason = errno;
  gpt_text_add(&env->file_faults->log, "%s\t%s%s%s\n", call, path, to != NULL ? "\t" : "", to != NULL ? to : "");
  errno = reason;
}

int gpt_system_open(GptEnv *env, const char *path, int flags, mode_t mode) {
  if (fails(env, "open", EMFILE)) return -1;
  int fd = open(path, flags | O_CLOEXEC, mode);
  if (fd >= 0) note(env, "open", path, NULL);
  return fd;
}

ssize_t gpt_system_write(GptEnv *env, int fd, const char *path, const void *bytes, size_t size) {
  if (fails(env, "write", ENOSPC)) return -1;
  note(env, "write", path, NULL);
  return write(fd, bytes, size);
}

bool gpt_system_sync(GptEnv *env, int fd, const char *path) {
  if (fails(env, "sync", EIO)) return false;
  if (fsync(fd) != 0 && errno != EINVAL && errno != ENOTSUP) return false;
  note(env, "sync", path, NULL);
  return true;
}

bool gpt_system_rename(GptEnv *env, const char *from, const char *to) {
  if (fails(env, "rename", EIO) || rename(from, to) != 0) return false;
  note(env, "rename", from, to);
  return true;
}

bool gpt_system_unlink(GptEnv *env, const char *path) {
  if (fails(env, "unlink", EIO) || unlink(path) != 0) return false;
  note(env, "unlink", path, NULL);
  return true;
}

/* Polls, because a wait within flock could not be bounded. */
static bool lock_in_time(int fd, int operation) {
  const struct timespec step = {.tv_nsec = LOCK_STEP};
  for (long tries = GPT_LOCK_SECONDS * (1000000000 / LOCK_STEP); tries > 0; tries--) {
    if (flock(fd, operation | LOCK_NB) == 0) return true;
    if (errno != EWOULDBLOCK && errno != EINTR) return true;
    nanosleep(&step, NULL);
  }
  errno = EWOULDBLOCK;
  return false;
}

bool gpt_system_lock(GptEnv *env, int fd, const char *path, bool exclusive) {
  if (fails(env, "lock", EWOULDBLOCK) || !lock_in_time(fd, exclusive ? LOCK_EX : LOCK_SH)) return false;
  note(env, "lock", path, NULL);
  return true;
}
