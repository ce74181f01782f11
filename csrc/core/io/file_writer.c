#include "core/io/file_writer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"

#define PIECE ((size_t)64 << 20)    /* of one write call, so that a signal is heard soon */
#define SCRATCH ((int64_t)1 << 18)  /* elements that a strided tensor is copied in */
#define MOST_TRIES 100

struct GptFileWriter {
  GptEnv *env;
  int fd;          /* -1: closed */
  bool exists;     /* the temporary file is there */
  char *temporary;
  char path[];
};

static bool fail(GptFileWriter *file, const char *what) {
  return gpt_fail(file->env, "%s: %s: %s", file->path, what, strerror(errno));
}

/* The length of path up to and with its last slash. */
static size_t directory_length(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash != NULL ? (size_t)(slash - path) + 1 : 0;
}

/* Creates a file of a name that nobody has; permissions follow the umask. */
static bool create(GptFileWriter *file, size_t capacity) {
  struct timespec now;
  int directory = (int)directory_length(file->path);
  for (unsigned i = 0; i < MOST_TRIES; i++) {
    clock_gettime(CLOCK_REALTIME, &now);
    snprintf(file->temporary, capacity, "%.*s.%s.gpt-%lx%lx%x", directory, file->path, file->path + directory,
             (long)getpid(), now.tv_nsec, i);
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    file->exists = file->fd >= 0;
    if (file->exists || errno != EEXIST) break;
  }
  return file->exists || fail(file, "cannot be written");
}

GptFileWriter *gpt_file_writer_open(GptEnv *env, const char *path) {
  size_t length = strlen(path), capacity = length + 64;
  GptFileWriter *file = gpt_alloc(env, sizeof *file + length + 1 + capacity);
  if (file == NULL) return NULL;
  *file = (GptFileWriter){.env = env, .fd = -1, .temporary = file->path + length + 1};
  memcpy(file->path, path, length + 1);
  if (create(file, capacity)) return file;
  gpt_file_writer_free(file);
  return NULL;
}

bool gpt_file_writer_write(GptFileWriter *file, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t written = write(file->fd, at, size < PIECE ? size : PIECE);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return fail(file, "cannot be written");
    at += written;
    size -= (size_t)written;
  }
  return true;
}

/* A view of the rows first .. first+count-1 along the first dimension. */
static GptTensor *row_view(const GptTensor *tensor, int64_t first, int64_t count) {
  int64_t shape[GPT_MAX_DIMS];
  memcpy(shape, tensor->shape, sizeof shape);
  shape[0] = count;
  int64_t offset = tensor->offset + first * tensor->stride[0];
  return gpt_tensor_view(tensor->env, tensor, tensor->ndim, shape, tensor->stride, offset);
}

static bool write_rows(GptFileWriter *file, const GptTensor *tensor, int64_t first, int64_t count) {
  GptTensor *rows = row_view(tensor, first, count);
  GptTensor *contiguous = gpt_tensor_then(rows, gpt_tensor_copy(tensor->env, rows));
  bool done = contiguous != NULL && gpt_file_writer_write(file, contiguous->storage->data, contiguous->storage->bytes);
  gpt_tensor_release(contiguous);
  return done;
}

bool gpt_file_writer_write_tensor(GptFileWriter *file, const GptTensor *tensor) {
  int64_t numel = gpt_tensor_numel(tensor);
  if (numel == 0) return true;
  if (gpt_tensor_contiguous(tensor))
    return gpt_file_writer_write(file, gpt_tensor_data(tensor), gpt_dtype_bytes(tensor->storage->dtype, numel));
  int64_t rows = tensor->shape[0], step = SCRATCH / (numel / rows) + 1;
  for (int64_t i = 0; i < rows; i += step)
    if (!write_rows(file, tensor, i, i + step < rows ? step : rows - i)) return false;
  return true;
}

bool gpt_file_writer_finish(GptFileWriter *file) {
  bool synced = fsync(file->fd) == 0 || errno == EINVAL || errno == ENOTSUP || fail(file, "cannot be written");
  bool closed = close(file->fd) == 0 || !synced || fail(file, "cannot be written");
  file->fd = -1;
  return synced && closed;
}

/* So that the new name survives a power cut; some file systems cannot, and none loses the file itself. */
static void sync_directory(GptFileWriter *file) {
  size_t length = directory_length(file->path);
  memcpy(file->temporary, length > 0 ? file->path : ".", length > 0 ? length : 1);
  file->temporary[length > 0 ? length : 1] = '\0';
  int fd = open(file->temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return;
  fsync(fd);
  close(fd);
}

bool gpt_file_writer_commit(GptFileWriter *file) {
  if (rename(file->temporary, file->path) != 0) return fail(file, "cannot be replaced");
  file->exists = false;
  sync_directory(file);
  return true;
}

void gpt_file_writer_free(GptFileWriter *file) {
  if (file == NULL) return;
  if (file->fd >= 0) close(file->fd);
  if (file->exists) unlink(file->temporary);
  gpt_free(file->env, file);
}

/* Whether a name is one that create makes: ".NAME.gpt-" and hexadecimal digits. */
static bool is_temporary(const char *name) {
  const char *mark = strrchr(name, '.');
  if (mark == NULL || mark == name || name[0] != '.' || strncmp(mark, ".gpt-", 5) != 0) return false;
  size_t digits = strspn(mark + 5, "0123456789abcdef");
  return digits > 0 && mark[5 + digits] == '\0';
}

void gpt_file_writer_sweep(const char *directory) {
  const struct dirent *entry;
  DIR *all = opendir(directory);
  if (all == NULL) return;
  while ((entry = readdir(all)) != NULL)
    if (is_temporary(entry->d_name)) unlinkat(dirfd(all), entry->d_name, 0);
  closedir(all);
}
