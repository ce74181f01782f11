#include "core/io/paths.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "core/base/memory.h"
#include "core/io/files.h"
#include "core/io/system.h"

#define MOST_LINKS 40 /* as the kernel counts */

static char *copy_beginning(GptEnv *env, const char *text, size_t length) {
  char *copy = gpt_alloc(env, length + 1);
  if (copy == NULL) return NULL;
  memcpy(copy, text, length);
  copy[length] = '\0';
  return copy;
}

char *gpt_path_join(GptEnv *env, const char *dir, const char *name) {
  size_t size = strlen(dir) + strlen(name) + 2;
  char *path = gpt_alloc(env, size);
  if (path != NULL) snprintf(path, size, "%s/%s", dir, name);
  return path;
}

const char *gpt_path_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

char *gpt_path_directory(GptEnv *env, const char *path) {
  size_t length = (size_t)(gpt_path_name(path) - path);
  if (length == 0) return copy_beginning(env, ".", 1);
  while (length > 1 && path[length - 1] == '/') length--;
  return copy_beginning(env, path, length);
}

/* Where a link that stands at `path` leads: its text, which counts from the link's own directory. */
static char *step_along(GptEnv *env, const char *path, const char *link) {
  if (link[0] == '/') return copy_beginning(env, link, strlen(link));
  char *directory = gpt_path_directory(env, path);
  char *next = directory != NULL ? gpt_path_join(env, directory, link) : NULL;
  gpt_free(env, directory);
  return next;
}

/* What is no link, or not there, is the end; errno says so. Where that cannot be told, NULL and a message. */
static char *end_of_links(GptEnv *env, char *path) {
  if (errno == EINVAL || gpt_file_missing(errno)) return path;
  gpt_fail(env, "%s: %s", path, strerror(errno));
  gpt_free(env, path);
  return NULL;
}

char *gpt_path_follow(GptEnv *env, const char *path) {
  char link[PATH_MAX];
  char *at = copy_beginning(env, path, strlen(path));
  for (int i = 0; at != NULL && i < MOST_LINKS; i++) {
    ssize_t length = gpt_system_readlink(env, at, link, sizeof link - 1);
    if (length < 0) return end_of_links(env, at);
    link[length] = '\0';
    char *next = step_along(env, at, link);
    gpt_free(env, at);
    at = next;
  }
  if (at == NULL) return NULL;
  gpt_free(env, at);
  return gpt_fail_null(env, "%s: %s", path, strerror(ELOOP));
}

const char *gpt_path_kind(mode_t mode) {
  if (S_ISREG(mode)) return NULL;
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a FIFO";
  return S_ISSOCK(mode) ? "a socket" : "a device";
}
