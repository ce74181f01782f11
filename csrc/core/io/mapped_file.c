#include "core/io/mapped_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/io/files.h"
#include "core/tensor/shared.h"

#define PIECE 65536  /* floats that a thread reads at a time */
#define BUFFER 16384 /* bytes that are converted at a time */
#define HUGE_PAGE ((size_t)2 << 20)
#define SHARED_LEAST 65536           /* bytes of a tensor that is worth sharing */
#define SECOND ((int64_t)1000000000) /* in nanoseconds, as is */
#define SETTLED (SECOND / 10)        /* a file that has not been changed for so long */

GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path) {
  size_t length = strlen(path) + 1;
  GptMappedFile *file = gpt_alloc(env, sizeof *file + length);
  if (file == NULL) return NULL;
  *file = (GptMappedFile){.refs = 1, .env = env};
  memcpy(file->path, path, length);
  file->fd = gpt_file_open(env, path, &file->size);
  if (file->fd >= 0) return file;
  gpt_mapped_file_close(file);
  return NULL;
}

const char *gpt_mapped_file_data(GptMappedFile *file) {
  if (file->data != NULL || file->size == 0) return file->data != NULL ? file->data : "";
  void *data = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file->fd, 0);
  if (data == MAP_FAILED) return gpt_fail_null(file->env, "%s: cannot be mapped: %s", file->path, strerror(errno));
  file->data = data;
  file->env->memory.mapped += file->size;
  return file->data;
}

static bool fail_to_read(GptEnv *env, int problem) {
  return gpt_fail(env, "cannot be read: %s", problem < 0 ? "it was cut short meanwhile" : strerror(problem));
}

bool gpt_mapped_file_read(const GptMappedFile *file, size_t offset, void *to, size_t count) {
  int problem = gpt_file_read_at(file->fd, to, count, offset);
  return problem == 0 || fail_to_read(file->env, problem);
}

bool gpt_mapped_file_same(const GptMappedFile *a, size_t at_a, const GptMappedFile *b, size_t at_b,
                          size_t size, bool *same) {
  char parts[2][BUFFER];
  *same = true;
  for (size_t done = 0, n; *same && done < size; done += n) {
    n = size - done < BUFFER ? size - done : BUFFER;
    if (!gpt_mapped_file_read(a, at_a + done, parts[0], n)) return false;
    if (!gpt_mapped_file_read(b, at_b + done, parts[1], n)) return false;
    *same = memcmp(parts[0], parts[1], n) == 0;
  }
  return true;
}

bool gpt_mapped_file_zero(const GptMappedFile *file, size_t offset, size_t size, bool *zero) {
  char part[BUFFER];
  *zero = true;
  for (size_t done = 0, n; *zero && done < size; done += n) {
    n = size - done < BUFFER ? size - done : BUFFER;
    if (!gpt_mapped_file_read(file, offset + done, part, n)) return false;
    for (size_t i = 0; i < n; i++) *zero = *zero && part[i] == 0;
  }
  return true;
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
  int problem = gpt_file_read_at(reading->file->fd, to, count, offset);
  if (problem != 0) reading->problem = problem;
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

/* What is read from a file, and in which state of the file. False where that may not be told from another state: a file
   that has just been changed could be changed again within the tick of the clock that stamps it. */
static bool shared_key(const GptMappedFile *file, size_t offset, GptDtype dtype, size_t bytes, GptSharedKey *key) {
  struct stat about;
  struct timespec now;
  if (fstat(file->fd, &about) != 0 || clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
  int64_t changed = (int64_t)about.st_ctim.tv_sec * SECOND + about.st_ctim.tv_nsec;
  *key = (GptSharedKey){{(uint64_t)about.st_dev, (uint64_t)about.st_ino, (uint64_t)about.st_size, (uint64_t)changed,
                         (uint64_t)about.st_mtim.tv_sec * SECOND + (uint64_t)about.st_mtim.tv_nsec, offset,
                         (uint64_t)dtype, bytes}};
  return (int64_t)now.tv_sec * SECOND + now.tv_nsec - changed > SETTLED;
}

/* Reads bytes (doubles: as many 64-bit floats, into 32 bits each); false and a message where that fails. */
static bool read_into(GptEnv *env, const GptMappedFile *file, size_t offset, bool doubles, const GptStorage *storage) {
  prefer_huge_pages(storage->data, storage->bytes);
  Reading reading = {.file = file, .offset = offset, .to = storage->data};
  if (doubles) gpt_parallel_for((int64_t)(storage->bytes / sizeof(float)), PIECE, read_doubles, &reading);
  else gpt_parallel_for((int64_t)storage->bytes, 4 * PIECE, read_plain, &reading);
  if (reading.problem == 0) return true;
  fail_to_read(env, reading.problem);
  return gpt_fail_at(env, "%s", file->path);
}

/* The bytes as a storage: one that this process has read already, or a fresh one, which is offered to others then. */
static GptStorage *read_storage(GptEnv *env, const GptMappedFile *file, size_t offset, GptDtype dtype, size_t bytes) {
  GptSharedKey key, after;
  GptDtype own = dtype == GPT_FILE_F64 ? GPT_F32 : dtype;
  bool shares = bytes >= SHARED_LEAST && shared_key(file, offset, dtype, bytes, &key);
  GptStorage *storage = shares ? gpt_shared_find(env, own, &key) : NULL;
  if (storage != NULL) return storage;
  storage = shares ? gpt_shared_new(env, own, bytes) : NULL;
  bool offers = storage != NULL;
  if (!offers) storage = gpt_storage_new(env, own, bytes, false);
  if (storage == NULL) return NULL;
  if (!read_into(env, file, offset, dtype == GPT_FILE_F64, storage)) return gpt_storage_release(storage), NULL;
  bool same = offers && shared_key(file, offset, dtype, bytes, &after) && memcmp(&key, &after, sizeof key) == 0;
  if (same) gpt_shared_offer(storage, &key);
  return storage;
}

static GptTensor *copy_of(GptEnv *env, const GptMappedFile *file, size_t offset, GptDtype dtype, size_t bytes, int ndim,
                          const int64_t *shape) {
  GptStorage *storage = read_storage(env, file, offset, dtype, bytes);
  GptTensor *tensor = storage != NULL ? gpt_tensor_over(env, storage, 0, ndim, shape) : NULL;
  gpt_storage_release(storage);
  return tensor;
}

/* Bytes of such a tensor in the file, and in memory. */
static bool count_file_bytes(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, size_t *bytes, size_t *own) {
  bool doubles = dtype == GPT_FILE_F64; /* as large as an i64 */
  return gpt_tensor_bytes(env, doubles ? GPT_I64 : dtype, ndim, shape, bytes) &&
         gpt_tensor_bytes(env, doubles ? GPT_F32 : dtype, ndim, shape, own);
}

/* Where numbers of that dtype may lie: what is read as floats and integers at their own size, the rest, which is read
   byte by byte, anywhere. */
static bool lies_aligned(size_t offset, GptDtype dtype) {
  return (dtype != GPT_F32 && dtype != GPT_I64) || offset % gpt_dtype(dtype)->bytes == 0;
}

GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptDtype dtype, int ndim,
                                  const int64_t *shape, bool view) {
  size_t bytes, own;
  if (!count_file_bytes(env, dtype, ndim, shape, &bytes, &own)) return NULL;
  if (offset > file->size || bytes > file->size - offset)
    return gpt_fail_null(env, "a tensor that lies outside its file");
  if (view && dtype != GPT_FILE_F64 && lies_aligned(offset, dtype) && bytes > 0) {
    if (gpt_mapped_file_data(file) == NULL) return NULL;
    return view_of(env, file, file->data + offset, dtype, bytes, ndim, shape);
  }
  return copy_of(env, file, offset, dtype, own, ndim, shape);
}
