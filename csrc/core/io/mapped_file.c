#include "core/io/mapped_file.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/parallel.h"
#include "core/io/files.h"
#include "core/io/system.h"
#include "core/tensor/shared.h"

#define PIECE 65536  /* floats that a thread reads at a time */
#define BUFFER 16384 /* bytes that are converted at a time */
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
  void *data = gpt_system_map(file->env, file->fd, file->size);
  if (data == NULL) return gpt_fail_null(file->env, "%s: cannot be mapped: %s", file->path, strerror(errno));
  gpt_prefer_huge_pages(data, file->size); /* a decoded token walks over all of it */
  file->data = data;
  file->env->memory.mapped += file->size;
  return file->data;
}

static bool fail_to_read(GptEnv *env, int problem) {
  return gpt_fail(env, "cannot be read: %s", problem < 0 ? "it was cut short meanwhile" : strerror(problem));
}

bool gpt_mapped_file_read(const GptMappedFile *file, size_t offset, void *to, size_t count) {
  int problem = gpt_file_read_at(file->env, file->fd, to, count, offset);
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

/* The reading of one tensor, in pieces. */
typedef struct Reading {
  const GptMappedFile *file;
  size_t offset;
  const GptFileType *type;
  char *to;
  _Atomic int problem; /* errno of a failed read; -1 where the file was cut short meanwhile */
} Reading;

static void read_bytes(Reading *reading, void *to, size_t offset, size_t count) {
  int problem = gpt_file_read_at(reading->file->env, reading->file->fd, to, count, offset);
  if (problem != 0) reading->problem = problem;
}

/* Items are bytes. */
static void read_plain(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  read_bytes(reading, reading->to + first, reading->offset + (size_t)first, (size_t)(last - first));
}

/* Items are numbers. */
static void read_converted(void *context, int64_t first, int64_t last) {
  Reading *reading = context;
  char buffer[BUFFER];
  size_t size = reading->type->size, made = gpt_dtype(reading->type->dtype)->bytes;
  int64_t most = (int64_t)(BUFFER / size);
  for (int64_t i = first; i < last; i += most) {
    int64_t n = last - i < most ? last - i : most;
    read_bytes(reading, buffer, reading->offset + (size_t)i * size, (size_t)n * size);
    if (reading->problem != 0) return;
    reading->type->convert(reading->to + (size_t)i * made, buffer, n);
  }
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
static bool shared_key(const GptMappedFile *file, size_t offset, const GptFileType *type, size_t bytes,
                       GptSharedKey *key) {
  struct stat about;
  struct timespec now;
  if (!gpt_system_fstat(file->env, file->fd, &about) || clock_gettime(CLOCK_REALTIME, &now) != 0) return false;
  int64_t changed = (int64_t)about.st_ctim.tv_sec * SECOND + about.st_ctim.tv_nsec;
  *key = (GptSharedKey){{(uint64_t)about.st_dev, (uint64_t)about.st_ino, (uint64_t)about.st_size, (uint64_t)changed,
                         (uint64_t)about.st_mtim.tv_sec * SECOND + (uint64_t)about.st_mtim.tv_nsec, offset,
                         gpt_file_type_number(type), bytes}};
  return (int64_t)now.tv_sec * SECOND + now.tv_nsec - changed > SETTLED;
}

/* Fills a storage; false and a message where that fails. */
static bool read_into(GptEnv *env, const GptMappedFile *file, size_t offset, const GptFileType *type,
                      const GptStorage *storage) {
  gpt_prefer_huge_pages(storage->data, storage->bytes);
  Reading reading = {.file = file, .offset = offset, .type = type, .to = storage->data};
  int64_t numbers = (int64_t)(storage->bytes / gpt_dtype(type->dtype)->bytes);
  if (type->convert != NULL) gpt_parallel_for(numbers, PIECE, read_converted, &reading);
  else gpt_parallel_for((int64_t)storage->bytes, 4 * PIECE, read_plain, &reading);
  if (reading.problem == 0) return true;
  fail_to_read(env, reading.problem);
  return gpt_fail_at(env, "%s", file->path);
}

/* The bytes as a storage: one that this process has read already, or a fresh one, which is offered to others then. */
static GptStorage *read_storage(GptEnv *env, const GptMappedFile *file, size_t offset, const GptFileType *type,
                                size_t bytes) {
  GptSharedKey key, after;
  bool shares = bytes >= SHARED_LEAST && shared_key(file, offset, type, bytes, &key);
  GptStorage *storage = shares ? gpt_shared_find(env, type->dtype, &key) : NULL;
  if (storage != NULL) return storage;
  storage = shares ? gpt_shared_new(env, type->dtype, bytes) : NULL;
  bool offers = storage != NULL;
  if (!offers) storage = gpt_storage_new(env, type->dtype, bytes, false);
  if (storage == NULL) return NULL;
  if (!read_into(env, file, offset, type, storage)) return gpt_storage_release(storage), NULL;
  bool same = offers && shared_key(file, offset, type, bytes, &after) && memcmp(&key, &after, sizeof key) == 0;
  if (same) gpt_shared_offer(storage, &key);
  return storage;
}

static GptTensor *copy_of(GptEnv *env, const GptMappedFile *file, size_t offset, const GptFileType *type, size_t bytes,
                          int ndim, const int64_t *shape) {
  GptStorage *storage = read_storage(env, file, offset, type, bytes);
  GptTensor *tensor = storage != NULL ? gpt_tensor_over(env, storage, 0, ndim, shape) : NULL;
  gpt_storage_release(storage);
  return tensor;
}

/* Whether a tensor that has so many bytes in memory lies in the file from there on. */
static bool lies_inside(const GptMappedFile *file, size_t offset, const GptFileType *type, size_t bytes) {
  size_t items = bytes / gpt_dtype(type->dtype)->bytes; /* numbers, or blocks */
  return offset <= file->size && items <= (file->size - offset) / type->size;
}

/* Where numbers of that dtype may lie: what is read as floats and integers at their own size, the rest, which is read
   byte by byte, anywhere. */
static bool lies_aligned(size_t offset, GptDtype dtype) {
  return (dtype != GPT_F32 && dtype != GPT_I64) || offset % gpt_dtype(dtype)->bytes == 0;
}

GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, const GptFileType *type, int ndim,
                                  const int64_t *shape, bool view) {
  size_t bytes;
  if (!gpt_tensor_bytes(env, type->dtype, ndim, shape, &bytes)) return NULL;
  if (!lies_inside(file, offset, type, bytes))
    return gpt_fail_null(env, "a tensor outside its file");
  if (view && type->convert == NULL && lies_aligned(offset, type->dtype) && bytes > 0) {
    if (gpt_mapped_file_data(file) == NULL) return NULL;
    return view_of(env, file, file->data + offset, type->dtype, bytes, ndim, shape);
  }
  return copy_of(env, file, offset, type, bytes, ndim, shape);
}
