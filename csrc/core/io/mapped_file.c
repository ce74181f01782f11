#include "core/io/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/parallel.h"

#define PIECE 65536  /* floats that a thread reads at a time */
#define BUFFER 16384 /* bytes that are converted at a time */
#define HUGE_PAGE ((size_t)2 << 20)

static bool map(GptMappedFile *file) {
  struct stat about;
  if (fstat(file->fd, &about) != 0) return gpt_fail(file->env, "%s: %s", file->path, strerror(errno));
  if (!S_ISREG(about.st_mode)) return gpt_fail(file->env, "%s: not a regular file", file->path);
  file->size = (size_t)about.st_size;
  if (file->size == 0) return true;
  void *data = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file->fd, 0);
  if (data == MAP_FAILED) return gpt_fail(file->env, "%s: cannot be mapped: %s", file->path, strerror(errno));
  file->data = data;
  file->env->memory.mapped += file->size;
  return true;
}

GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path) {
  size_t length = strlen(path) + 1;
  GptMappedFile *file = gpt_alloc(env, sizeof *file + length);
  if (file == NULL) return NULL;
  *file = (GptMappedFile){.refs = 1, .env = env};
  memcpy(file->path, path, length);
  file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
  if (file->fd >= 0 ? map(file) : gpt_fail(env, "%s: %s", path, strerror(errno))) return file;
  gpt_mapped_file_close(file);
  return NULL;
}

static void release(GptMappedFile *file) {
  if (--file->refs > 0) return;
  if (file->data != NULL) {
    munmap(file->data, file->size);
    file->env->memory.mapped -= file->size;
  }
  gpt_free(file->env, file);
}

void gpt_mapped_file_close(GptMappedFile *file) {
  if (file == NULL) return;
  if (file->fd >= 0) close(file->fd);
  file->fd = -1;
  release(file);
}

static void f64_to_floats(float *to, const char *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double value;
    memcpy(&value, from + 8 * i, sizeof value);
    to[i] = (float)value;
  }
}

/* The reading of one tensor, in pieces. */
typedef struct Reading {
  const GptMappedFile *file;
  size_t offset;
  void *to;
  _Atomic int problem; /* errno of a failed read; -1 where the file was cut short meanwhile */
} Reading;

static void read_bytes(Reading *reading, void *to, size_t offset, size_t count) {
  char *at = to;
  while (count > 0) {
    ssize_t got = pread(reading->file->fd, at, count, (off_t)offset);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      reading->problem = got < 0 ? errno : -1;
      return;
    }
    at += got;
    offset += (size_t)got;
    count -= (size_t)got;
  }
}

/* Items are bytes. */
static void read_plain(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  size_t at = (size_t)first;
  read_bytes(reading, (char *)reading->to + at, reading->offset + at, (size_t)(last - first));
}

/* Items are 64-bit floats. */
static void read_doubles(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  char buffer[BUFFER];
  int64_t most = BUFFER / 8;
  for (int64_t i = first; i < last; i += most) {
    int64_t n = last - i < most ? last - i : most;
    read_bytes(reading, buffer, reading->offset + (size_t)i * 8, (size_t)n * 8);
    if (reading->problem != 0) return;
    f64_to_floats((float *)reading->to + i, buffer, n);
  }
}

/* Fresh memory in huge pages is there several times sooner. A hint; systems without them lose nothing. */
static void prefer_huge_pages(void *data, size_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t first = ((uintptr_t)data + HUGE_PAGE - 1) & ~(uintptr_t)(HUGE_PAGE - 1);
  uintptr_t last = ((uintptr_t)data + bytes) & ~(uintptr_t)(HUGE_PAGE - 1);
  if (last > first) madvise((void *)first, last - first, MADV_HUGEPAGE);
#else
  (void)data, (void)bytes;
#endif
}

static void release_owner(GptStorage *storage) { release(storage->owner); }

static GptTensor *view_of(GptEnv *env, GptMappedFile *file, char *data, GptDtype dtype, size_t bytes, int ndim,
                          const int64_t *shape) {
  GptStorage *storage = gpt_storage_wrap(env, dtype, data, bytes, release_owner, file);
  if (storage == NULL) return NULL;
  file->refs++;
  GptTensor *tensor = gpt_tensor_over(env, storage, 0, ndim, shape);
  gpt_storage_release(storage);
  return tensor;
}

static GptTensor *copy_of(GptEnv *env, const GptMappedFile *file, size_t offset, GptDtype dtype, int ndim,
                          const int64_t *shape) {
  bool doubles = dtype == GPT_FILE_F64;
  GptTensor *tensor = gpt_tensor_new(env, doubles ? GPT_F32 : dtype, ndim, shape);
  if (tensor == NULL) return NULL;
  prefer_huge_pages(tensor->storage->data, tensor->storage->bytes);
  Reading reading = {.file = file, .offset = offset, .to = tensor->storage->data};
  if (doubles) gpt_parallel_for(gpt_tensor_numel(tensor), PIECE, read_doubles, &reading);
  else gpt_parallel_for((int64_t)tensor->storage->bytes, 4 * PIECE, read_plain, &reading);
  if (reading.problem == 0) return tensor;
  gpt_tensor_release(tensor);
  const char *why = reading.problem < 0 ? "it was cut short meanwhile" : strerror(reading.problem);
  return gpt_fail_null(env, "%s: cannot be read: %s", file->path, why);
}

/* Bytes of such a tensor in the file. */
static bool count_file_bytes(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, size_t *bytes) {
  return gpt_tensor_bytes(env, dtype == GPT_FILE_F64 ? GPT_I64 : dtype, ndim, shape, bytes); /* as large as an i64 */
}

/* Where numbers of that dtype may lie: what is read as floats and integers at their own size, the rest, which is read
   byte by byte, anywhere. */
static bool lies_aligned(const char *data, GptDtype dtype) {
  return (dtype != GPT_F32 && dtype != GPT_I64) || (uintptr_t)data % gpt_dtype(dtype)->bytes == 0;
}

GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptDtype dtype, int ndim,
                                  const int64_t *shape, bool view) {
  size_t bytes;
  if (!count_file_bytes(env, dtype, ndim, shape, &bytes)) return NULL;
  if (offset > file->size || bytes > file->size - offset)
    return gpt_fail_null(env, "a tensor that lies outside its file");
  char *data = file->data + offset;
  if (view && dtype != GPT_FILE_F64 && lies_aligned(data, dtype) && bytes > 0)
    return view_of(env, file, data, dtype, bytes, ndim, shape);
  return copy_of(env, file, offset, dtype, ndim, shape);
}
