#include "core/io/system.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define LOCK_STEP ((long)5000000) /* nanoseconds between two tries */

/* What a spec wants of a call. */
typedef enum Fate { GOES, FAILS, HALVES } Fate;

static Fate fate_of(GptFileFaults *faults, const char *call) {
  if (faults->kills && faults->at > 0 && atomic_load(&faults->calls) >= faults->at) return FAILS;
  if (faults->call[0] != '\0' && strcmp(faults->call, call) != 0) return GOES;
  int64_t number = atomic_fetch_add(&faults->calls, 1) + 1;
  if (number == faults->at) return faults->halves ? HALVES : FAILS;
  return faults->stays && faults->at > 0 && number > faults->at ? FAILS : GOES;
}

/* The same, with errno set to the reason. */
static Fate fate(GptEnv *env, const char *call, int reason) {
  GptFileFaults *faults = env->file_faults;
  Fate found = faults != NULL ? fate_of(faults, call) : GOES;
  if (found != GOES && faults->hit[0] == '\0') strncpy(faults->hit, call, sizeof faults->hit - 1);
  if (found == FAILS) errno = faults->reason != 0 ? faults->reason : reason;
  return found;
}

static bool fails(GptEnv *env, const char *call, int reason) { return fate(env, call, reason) == FAILS; }

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

ssize_t gpt_system_read(GptEnv *env, int fd, void *to, size_t size, size_t offset) {
  Fate found = fate(env, "read", EIO);
  if (found == FAILS) return errno == -1 ? 0 : -1;
  return pread(fd, to, found == HALVES ? (size + 1) / 2 : size, (off_t)offset);
}

ssize_t gpt_system_write(GptEnv *env, int fd, const char *path, const void *bytes, size_t size) {
  Fate found = fate(env, "write", ENOSPC);
  if (found == FAILS) return -1;
  note(env, "write", path, NULL);
  return write(fd, bytes, found == HALVES ? (size + 1) / 2 : size);
}

void *gpt_system_map(GptEnv *env, int fd, size_t size) {
  if (fails(env, "map", ENOMEM)) return NULL;
  void *data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  return data != MAP_FAILED ? data : NULL;
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

bool gpt_system_mkdir(GptEnv *env, const char *path) {
  if (fails(env, "mkdir", ENOSPC) || mkdir(path, 0777) != 0) return false;
  note(env, "mkdir", path, NULL);
  return true;
}

bool gpt_system_rmdir(GptEnv *env, const char *path) {
  if (fails(env, "rmdir", EIO) || rmdir(path) != 0) return false;
  note(env, "rmdir", path, NULL);
  return true;
}

bool gpt_system_stat(GptEnv *env, const char *path, struct stat *about) {
  return !fails(env, "stat", EIO) && stat(path, about) == 0;
}

bool gpt_system_lstat(GptEnv *env, const char *path, struct stat *about) {
  return !fails(env, "stat", EIO) && lstat(path, about) == 0;
}

bool gpt_system_fstat(GptEnv *env, int fd, struct stat *about) {
  return !fails(env, "stat", EIO) && fstat(fd, about) == 0;
}

ssize_t gpt_system_readlink(GptEnv *env, const char *path, char *to, size_t size) {
  return fails(env, "link", EIO) ? -1 : readlink(path, to, size);
}

bool gpt_system_owner(GptEnv *env, int fd, uid_t user, gid_t group) {
  return !fails(env, "owner", EPERM) && fchown(fd, user, group) == 0;
}

bool gpt_system_mode(GptEnv *env, int fd, mode_t mode) {
  return !fails(env, "mode", EIO) && fchmod(fd, mode) == 0;
}

DIR *gpt_system_list(GptEnv *env, const char *path) { return fails(env, "list", EMFILE) ? NULL : opendir(path); }

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

bool gpt_system_try_lock(GptEnv *env, int fd) {
  return !fails(env, "try", EWOULDBLOCK) && flock(fd, LOCK_EX | LOCK_NB) == 0;
}
