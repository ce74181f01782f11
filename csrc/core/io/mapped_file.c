#include "core/io/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/parallel.h"

#define PIECE 65536  /* elements that a thread reads at a time */
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

static const struct {
  const char *name;
  size_t size;
} dtypes[GPT_FILE_DTYPES] = {
    [GPT_FILE_F32] = {"F32", 4}, [GPT_FILE_F16] = {"F16", 2}, [GPT_FILE_BF16] = {"BF16", 2},
    [GPT_FILE_F64] = {"F64", 8}, [GPT_FILE_I64] = {"I64", 8},
};

const char *gpt_file_dtype_name(GptFileDtype dtype) { return dtypes[dtype].name; }

/* Conversions of n elements, which may be unaligned. */
static void convert_f64(float *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double value;
    memcpy(&value, (const char *)from + 8 * i, sizeof value);
    to[i] = (float)value;
  }
}

/* NULL: elements are read as they are. */
static void (*conversion(GptFileDtype dtype))(float *, const void *, int64_t) {
  if (dtype == GPT_FILE_F64) return convert_f64;
  return dtype == GPT_FILE_F16    ? gpt_dtype(GPT_F16)->to_floats
         : dtype == GPT_FILE_BF16 ? gpt_dtype(GPT_BF16)->to_floats
                                  : NULL;
}

/* The reading of one tensor, in pieces. */
typedef struct Reading {
  const GptMappedFile *file;
  size_t offset;
  GptFileDtype dtype;
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

static void read_plain(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  size_t size = dtypes[reading->dtype].size, at = (size_t)first * size;
  read_bytes(reading, (char *)reading->to + at, reading->offset + at, (size_t)(last - first) * size);
}

static void read_converted(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  char buffer[BUFFER];
  size_t size = dtypes[reading->dtype].size;
  int64_t most = (int64_t)(sizeof buffer / size);
  for (int64_t i = first; i < last; i += most) {
    int64_t n = last - i < most ? last - i : most;
    read_bytes(reading, buffer, reading->offset + (size_t)i * size, (size_t)n * size);
    if (reading->problem != 0) return;
    conversion(reading->dtype)((float *)reading->to + i, buffer, n);
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

static GptTensor *copy_of(GptEnv *env, const GptMappedFile *file, size_t offset, GptFileDtype dtype, GptDtype kind,
                          int ndim, const int64_t *shape) {
  GptTensor *tensor = gpt_tensor_new(env, kind, ndim, shape);
  if (tensor == NULL) return NULL;
  prefer_huge_pages(tensor->storage->data, tensor->storage->bytes);
  Reading reading = {.file = file, .offset = offset, .dtype = dtype, .to = tensor->storage->data};
  gpt_parallel_for(gpt_tensor_numel(tensor), PIECE, conversion(dtype) != NULL ? read_converted : read_plain, &reading);
  if (reading.problem == 0) return tensor;
  gpt_tensor_release(tensor);
  const char *why = reading.problem < 0 ? "it was cut short meanwhile" : strerror(reading.problem);
  return gpt_fail_null(env, "%s: cannot be read: %s", file->path, why);
}

/* Bytes of that many elements, or SIZE_MAX where they cannot be counted. */
static size_t shape_bytes(GptFileDtype dtype, int ndim, const int64_t *shape) {
  size_t bytes = dtypes[dtype].size;
  for (int d = 0; d < ndim; d++)
    if (shape[d] < 0 || __builtin_mul_overflow(bytes, (size_t)shape[d], &bytes)) return SIZE_MAX;
  return bytes;
}

GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptFileDtype dtype, int ndim,
                                  const int64_t *shape, bool view) {
  size_t bytes = ndim <= GPT_MAX_DIMS ? shape_bytes(dtype, ndim, shape) : SIZE_MAX;
  if (offset > file->size || bytes > file->size - offset)
    return gpt_fail_null(env, "a tensor that lies outside its file");
  GptDtype kind = dtype == GPT_FILE_I64 ? GPT_I64 : GPT_F32;
  char *data = file->data + offset;
  bool plain = dtype == GPT_FILE_F32 || dtype == GPT_FILE_I64, aligned = (uintptr_t)data % dtypes[dtype].size == 0;
  if (view && plain && aligned && bytes > 0) return view_of(env, file, data, kind, bytes, ndim, shape);
  return copy_of(env, file, offset, dtype, kind, ndim, shape);
}
