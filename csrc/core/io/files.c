#include "core/io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/io/paths.h"
#include "core/io/system.h"

#define MOST_POINTER 1024 /* bytes of a pointer of Git LFS */

bool gpt_file_missing(int reason) {
  return reason == ENOENT || reason == ENOTDIR || reason == ENAMETOOLONG || reason == ELOOP;
}

bool gpt_file_look(GptEnv *env, const char *path, struct stat *about, bool *there) {
  *there = gpt_system_stat(env, path, about);
  return *there || gpt_file_missing(errno) || gpt_fail(env, "%s: %s", path, strerror(errno));
}

bool gpt_file_exists(GptEnv *env, const char *path, bool *there) {
  struct stat about;
  bool good = gpt_file_look(env, path, &about, there);
  *there = *there && S_ISREG(about.st_mode);
  return good;
}

int gpt_file_read_at(GptEnv *env, int fd, void *to, size_t size, size_t offset) {
  char *at = to;
  while (size > 0) {
    ssize_t got = gpt_system_read(env, fd, at, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got < 0 ? errno : -1;
    at += got;
    offset += (size_t)got;
    size -= (size_t)got;
  }
  return 0;
}

/* What Git leaves in place of a file that Git LFS has not fetched: some lines of text. */
static bool is_lfs_pointer(GptEnv *env, int fd, size_t size) {
  static const char begin[] = "version https://git-lfs.github.com/spec/";
  char text[sizeof begin - 1];
  return size > sizeof text && size < MOST_POINTER && gpt_file_read_at(env, fd, text, sizeof text, 0) == 0 &&
         memcmp(text, begin, sizeof text) == 0;
}

static bool check_kind(GptEnv *env, const char *path, const struct stat *about) {
  const char *kind = gpt_path_kind(about->st_mode);
  return kind == NULL || gpt_fail(env, "%s: not a regular file, but %s", path, kind);
}

static bool check_open(GptEnv *env, const char *path, int fd, size_t *size) {
  struct stat about;
  if (!gpt_system_fstat(env, fd, &about)) return gpt_fail(env, "%s: %s", path, strerror(errno));
  *size = (size_t)about.st_size;
  if (!check_kind(env, path, &about)) return false;
  return !is_lfs_pointer(env, fd, *size) ||
         gpt_fail(env, "%s: a pointer of Git LFS, not the file itself; 'git lfs pull' in its directory fetches that",
                  path);
}

/* The kind is asked before opening too, because to open a device may do something; then again, of what was opened. */
int gpt_file_open(GptEnv *env, const char *path, size_t *size) {
  struct stat about;
  bool there = gpt_system_stat(env, path, &about);
  if (there && !check_kind(env, path, &about)) return -1;
  int fd = there ? gpt_system_open(env, path, O_RDONLY | O_NONBLOCK, 0) : -1;
  if (fd < 0) return gpt_fail(env, "%s: %s", path, strerror(errno)), -1;
  if (check_open(env, path, fd, size)) return fd;
  close(fd);
  return -1;
}

static char *read_open(GptEnv *env, const char *path, int fd, size_t size) {
  char *data = gpt_alloc(env, size + 1);
  if (data == NULL) return NULL;
  int problem = gpt_file_read_at(env, fd, data, size, 0);
  data[size] = '\0';
  if (problem == 0) return data;
  gpt_free(env, data);
  return gpt_fail_null(env, "%s: %s", path, problem > 0 ? strerror(problem) : "it was cut short meanwhile");
}

char *gpt_file_read(GptEnv *env, const char *path, size_t most, size_t *size) {
  char *data = NULL;
  int fd = gpt_file_open(env, path, size);
  if (fd < 0) return NULL;
  if (*size > most) gpt_fail(env, "%s: %zu bytes, which is more than such a file takes (%zu)", path, *size, most);
  else data = read_open(env, path, fd, *size);
  close(fd);
  return data;
}
