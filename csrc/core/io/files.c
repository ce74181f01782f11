#include "core/io/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/io/file_writer.h"
#include "core/base/array.h"
#include "core/base/memory.h"

bool gpt_file_exists(const char *path) {
  struct stat about;
  return stat(path, &about) == 0 && S_ISREG(about.st_mode);
}

char *gpt_file_path(GptEnv *env, const char *dir, const char *name) {
  size_t size = strlen(dir) + strlen(name) + 2;
  char *path = gpt_alloc(env, size);
  if (path != NULL) snprintf(path, size, "%s/%s", dir, name);
  return path;
}

/* Reads up to n bytes; returns how many there were, or -1. */
static ssize_t read_all(int file, char *data, size_t n) {
  size_t done = 0;
  while (done < n) {
    ssize_t got = read(file, data + done, n - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -1;
    if (got == 0) break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

static char *read_open(GptEnv *env, const char *path, int file, size_t *size) {
  struct stat about;
  if (fstat(file, &about) != 0) return gpt_fail_null(env, "cannot read %s: %s", path, strerror(errno));
  if (!S_ISREG(about.st_mode)) return gpt_fail_null(env, "cannot read %s: it is not a file", path);
  char *data = gpt_alloc(env, (size_t)about.st_size + 1);
  if (data == NULL) return NULL;
  ssize_t got = read_all(file, data, (size_t)about.st_size);
  if (got < 0) {
    gpt_fail(env, "cannot read %s: %s", path, strerror(errno));
    gpt_free(env, data);
    return NULL;
  }
  data[got] = '\0';
  *size = (size_t)got;
  return data;
}

char *gpt_file_read(GptEnv *env, const char *path, size_t *size) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return gpt_fail_null(env, "cannot read %s: %s", path, strerror(errno));
  char *data = read_open(env, path, file, size);
  close(file);
  return data;
}

/* mkdir -p; path is changed on the way and whole again at the end. */
static bool make_directories(char *path) {
  for (char *at = strchr(path + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
    *at = '\0';
    bool made = mkdir(path, 0777) == 0 || errno == EEXIST;
    *at = '/';
    if (!made) return false;
  }
  struct stat about;
  if (mkdir(path, 0777) == 0) return true;
  if (errno != EEXIST) return false;
  errno = ENOTDIR;
  return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

static bool ensure_directory(GptEnv *env, const char *dir) {
  char *path = gpt_copy_string(env, dir);
  if (path == NULL) return false;
  bool good = make_directories(path);
  if (!good) gpt_fail(env, "cannot make the directory %s: %s", dir, strerror(errno));
  gpt_free(env, path);
  return good;
}

/* Begins a file and brings all of it to the disk, under a temporary name. */
static GptFileWriter *write_file(GptEnv *env, const char *dir, const GptNewFile *file) {
  char *path = file->text.failed ? NULL : gpt_file_path(env, dir, file->name);
  GptFileWriter *writer = path != NULL ? gpt_file_writer_open(env, path) : NULL;
  gpt_free(env, path);
  if (writer == NULL) return NULL;
  bool good = gpt_file_writer_write(writer, file->text.data, file->text.length) && gpt_file_writer_finish(writer);
  if (good) return writer;
  gpt_file_writer_free(writer);
  return NULL;
}

bool gpt_files_replace(GptEnv *env, const char *dir, const GptNewFile *files, size_t count) {
  GptFileWriter *writers[GPT_MOST_NEW_FILES] = {NULL};
  bool good = ensure_directory(env, dir);
  for (size_t i = 0; good && i < count; i++) good = (writers[i] = write_file(env, dir, &files[i])) != NULL;
  for (size_t i = 0; good && i < count; i++) good = gpt_file_writer_commit(writers[i]);
  for (size_t i = 0; i < count; i++) gpt_file_writer_free(writers[i]);
  return good;
}
