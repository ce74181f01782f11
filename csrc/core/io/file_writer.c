#include "core/io/file_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/io/directory.h"
#include "core/io/files.h"
#include "core/io/paths.h"
#include "core/io/system.h"

#define PIECE ((size_t)64 << 20)    /* of one write call, so that a signal is heard soon */
#define SCRATCH ((int64_t)1 << 18)  /* elements that a strided tensor is copied in */
#define MOST_TRIES 100

static bool fail(const GptFileWriter *file, const char *what) {
  return gpt_fail(file->env, "%s: %s: %s", file->path, what, strerror(errno));
}

static bool check_plain(GptEnv *env, const char *path, const char *target) {
  struct stat about;
  if (gpt_path_name(path)[0] == '\0') return gpt_fail(env, "%s: cannot be written: a file's name expected", path);
  bool there;
  if (!gpt_file_look(env, target, &about, &there)) return false;
  const char *kind = there ? gpt_path_kind(about.st_mode) : NULL;
  return kind == NULL || gpt_fail(env, "%s: cannot be written: it is %s", path, kind);
}

/* The path itself is asked first: what stands in /proc or /dev has names behind its links that are no paths. */
bool gpt_file_writer_check(GptEnv *env, const char *path) {
  if (!check_plain(env, path, path)) return false;
  char *target = gpt_path_follow(env, path);
  gpt_free(env, target);
  return target != NULL;
}

/* The old file's owner and permissions. Only root may give a file away; a member of its group keeps the group. */
static bool keep_owner(GptFileWriter *file, const struct stat *old) {
  struct stat now;
  if (!gpt_system_fstat(file->env, file->fd, &now)) return fail(file, "cannot be written");
  bool other = old->st_uid != now.st_uid || old->st_gid != now.st_gid;
  if (other && !gpt_system_owner(file->env, file->fd, old->st_uid, old->st_gid))
    gpt_system_owner(file->env, file->fd, (uid_t)-1, old->st_gid); /* the writer's, where that fails too */
  return gpt_system_mode(file->env, file->fd, old->st_mode & 0777) || fail(file, "cannot be written");
}

/* A lock that tells a later save, for as long as the file is open, that it is none of a killed one. */
static bool hold_temporary(GptFileWriter *file) {
  struct stat about;
  if (!gpt_system_try_lock(file->env, file->fd) && errno == EWOULDBLOCK) return false; /* being swept */
  return !gpt_system_fstat(file->env, file->fd, &about) || about.st_nlink > 0;
}

/* Creates a file of a name that nobody has; the permissions of a new one follow the umask. */
static bool create(GptFileWriter *file, mode_t mode) {
  for (int i = 0; i < MOST_TRIES; i++) {
    gpt_temporary_tag(file->tag);
    gpt_free(file->env, file->temporary);
    file->temporary = gpt_temporary_path(file->env, file->target, gpt_path_name(file->path), file->tag);
    if (file->temporary == NULL) return false;
    file->fd = gpt_system_open(file->env, file->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
    file->exists = file->fd >= 0;
    if (!file->exists && errno != EEXIST) break;
    if (file->exists && hold_temporary(file)) return true;
    if (file->exists) close(file->fd);
    file->exists = false;
  }
  file->fd = -1;
  return fail(file, "cannot be written");
}

static bool create_like_old(GptFileWriter *file) {
  struct stat old;
  bool there;
  if (!gpt_file_look(file->env, file->target, &old, &there)) return false;
  if (!there) return create(file, 0666);
  return create(file, 0600) && keep_owner(file, &old);
}

static bool open_place(GptFileWriter *file) {
  file->place = gpt_path_directory(file->env, file->target);
  if (file->place == NULL) return false;
  file->directory = gpt_system_open(file->env, file->place, O_RDONLY | O_DIRECTORY, 0);
  return file->directory >= 0 || fail(file, "cannot be written");
}

static bool begin_file(GptFileWriter *file, const char *path) {
  file->path = gpt_alloc(file->env, strlen(path) + 1);
  if (file->path == NULL) return false;
  strcpy(file->path, path);
  if (!check_plain(file->env, path, path)) return false;
  file->target = gpt_path_follow(file->env, path);
  return file->target != NULL && open_place(file) && create_like_old(file);
}

GptFileWriter *gpt_file_writer_begin(GptEnv *env, const char *path) {
  GptFileWriter *file = gpt_alloc_zeroed(env, sizeof *file);
  if (file == NULL) return NULL;
  file->env = env;
  file->fd = file->directory = -1;
  if (begin_file(file, path)) return file;
  gpt_file_writer_free(file);
  return NULL;
}

GptFileWriter *gpt_file_writer_open(GptEnv *env, const char *path) {
  if (!gpt_file_writer_check(env, path) || !gpt_directory_tidy(env, path)) return NULL;
  return gpt_file_writer_begin(env, path);
}

bool gpt_file_writer_write(GptFileWriter *file, const void *bytes, size_t size) {
  const char *at = bytes;
  while (size > 0) {
    ssize_t written = gpt_system_write(file->env, file->fd, file->temporary, at, size < PIECE ? size : PIECE);
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
  if (file->finished) return true;
  file->finished = gpt_system_sync(file->env, file->fd, file->temporary);
  return file->finished || fail(file, "cannot be written");
}

bool gpt_file_writer_sync_place(GptFileWriter *file) {
  return gpt_system_sync(file->env, file->directory, file->place) ||
         fail(file, "its directory could not be brought to the disk");
}

bool gpt_file_writer_place(GptFileWriter *file) {
  if (!check_plain(file->env, file->path, file->target)) return false;
  if (!gpt_system_rename(file->env, file->temporary, file->target)) return fail(file, "cannot be replaced");
  file->exists = false;
  return gpt_file_writer_sync_place(file);
}

bool gpt_file_writer_commit(GptFileWriter *file) {
  if (!gpt_file_writer_finish(file)) return false;
  GptDirectory *directory = gpt_directory_write_beside(file->env, file->path);
  bool done = directory != NULL && gpt_file_writer_place(file);
  gpt_directory_close(directory);
  return done;
}

void gpt_file_writer_free(GptFileWriter *file) {
  if (file == NULL) return;
  if (file->exists) gpt_system_unlink(file->env, file->temporary);
  if (file->fd >= 0) close(file->fd);
  if (file->directory >= 0) close(file->directory);
  gpt_free(file->env, file->temporary);
  gpt_free(file->env, file->place);
  gpt_free(file->env, file->target);
  gpt_free(file->env, file->path);
  gpt_free(file->env, file);
}
