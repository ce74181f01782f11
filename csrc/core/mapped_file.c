#include "core/mapped_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "core/parallel.h"

#define GRAIN 65536 /* elements worth a hand-over to another thread */

/* Maps the open file; the description may be closed afterwards. */
static bool map(GptMappedFile *file, int fd, const char *path) {
  struct stat about;
  if (fstat(fd, &about) != 0) return gpt_fail(file->env, "%s: %s", path, strerror(errno));
  if (!S_ISREG(about.st_mode)) return gpt_fail(file->env, "%s: not a regular file", path);
  file->size = (size_t)about.st_size;
  if (file->size == 0) return true;
  void *data = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd, 0);
  if (data == MAP_FAILED) return gpt_fail(file->env, "%s: cannot be mapped: %s", path, strerror(errno));
  file->data = data;
  file->env->memory.mapped += file->size;
  return true;
}

GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path) {
  GptMappedFile *file = gpt_alloc_zeroed(env, sizeof *file);
  if (file == NULL) return NULL;
  file->refs = 1;
  file->env = env;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe must not block */
  bool mapped = fd >= 0 ? map(file, fd, path) : gpt_fail(env, "%s: %s", path, strerror(errno));
  if (fd >= 0) close(fd);
  if (mapped) return file;
  gpt_free(env, file);
  return NULL;
}

void gpt_mapped_file_release(GptMappedFile *file) {
  if (file == NULL || --file->refs > 0) return;
  if (file->data != NULL) {
    munmap(file->data, file->size);
    file->env->memory.mapped -= file->size;
  }
  gpt_free(file->env, file);
}

static const struct {
  const char *name;
  size_t size;
} dtypes[GPT_FILE_DTYPES] = {
    [GPT_FILE_F32] = {"F32", 4}, [GPT_FILE_F16] = {"F16", 2}, [GPT_FILE_BF16] = {"BF16", 2},
    [GPT_FILE_F64] = {"F64", 8}, [GPT_FILE_I64] = {"I64", 8},
};

const char *gpt_file_dtype_name(GptFileDtype dtype) { return dtypes[dtype].name; }

size_t gpt_file_dtype_size(GptFileDtype dtype) { return dtypes[dtype].size; }

/* One copy or conversion; the source may be unaligned. */
typedef struct Copy {
  const char *from;
  char *to;
  size_t size; /* of an element that is copied as it is */
} Copy;

static void copy_plain(void *context, int64_t first, int64_t last) {
  const Copy *copy = context;
  size_t at = (size_t)first * copy->size;
  memcpy(copy->to + at, copy->from + at, (size_t)(last - first) * copy->size);
}

static float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

/* IEEE half to single: exact, subnormals, infinities and NaN included. */
static float half_to_float(uint16_t half) {
  uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
  uint32_t exponent = rest & 0x0f800000; /* in half's five bits */
  uint32_t normal = rest + (exponent == 0x0f800000 ? 224u << 23 : 112u << 23);
  float subnormal = float_of(rest + (113u << 23)) - float_of(113u << 23);
  uint32_t bits;
  memcpy(&bits, &subnormal, sizeof bits);
  return float_of(sign | (exponent == 0 ? bits : normal));
}

static void convert_f16(void *context, int64_t first, int64_t last) {
  const Copy *copy = context;
  float *to = (float *)copy->to;
  for (int64_t i = first; i < last; i++) {
    uint16_t half;
    memcpy(&half, copy->from + 2 * i, sizeof half);
    to[i] = half_to_float(half);
  }
}

static void convert_bf16(void *context, int64_t first, int64_t last) {
  const Copy *copy = context;
  float *to = (float *)copy->to;
  for (int64_t i = first; i < last; i++) {
    uint16_t half;
    memcpy(&half, copy->from + 2 * i, sizeof half);
    to[i] = float_of((uint32_t)half << 16);
  }
}

static void convert_f64(void *context, int64_t first, int64_t last) {
  const Copy *copy = context;
  float *to = (float *)copy->to;
  for (int64_t i = first; i < last; i++) {
    double value;
    memcpy(&value, copy->from + 8 * i, sizeof value);
    to[i] = (float)value;
  }
}

static const GptTask tasks[GPT_FILE_DTYPES] = {
    [GPT_FILE_F32] = copy_plain,  [GPT_FILE_F16] = convert_f16, [GPT_FILE_BF16] = convert_bf16,
    [GPT_FILE_F64] = convert_f64, [GPT_FILE_I64] = copy_plain,
};

static void release_owner(GptStorage *storage) { gpt_mapped_file_release(storage->owner); }

static GptTensor *view_of(GptEnv *env, GptMappedFile *file, char *data, GptDtype dtype, size_t bytes, int ndim,
                          const int64_t *shape) {
  GptStorage *storage = gpt_storage_wrap(env, dtype, data, bytes, release_owner, file);
  if (storage == NULL) return NULL;
  file->refs++;
  GptTensor *tensor = gpt_tensor_over(env, storage, 0, ndim, shape);
  gpt_storage_release(storage);
  return tensor;
}

static GptTensor *copy_of(GptEnv *env, const char *data, GptFileDtype from, GptDtype to, int ndim,
                          const int64_t *shape) {
  GptTensor *tensor = gpt_tensor_new(env, to, ndim, shape);
  if (tensor == NULL) return NULL;
  Copy copy = {.from = data, .to = tensor->storage->data, .size = dtypes[from].size};
  gpt_parallel_for(gpt_tensor_numel(tensor), GRAIN, tasks[from], &copy);
  return tensor;
}

/* Bytes of that many elements, or SIZE_MAX where they cannot be counted. */
static size_t count_bytes(GptFileDtype dtype, int ndim, const int64_t *shape) {
  size_t bytes = dtypes[dtype].size;
  for (int d = 0; d < ndim; d++)
    if (shape[d] < 0 || __builtin_mul_overflow(bytes, (size_t)shape[d], &bytes)) return SIZE_MAX;
  return bytes;
}

GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptFileDtype dtype, int ndim,
                                  const int64_t *shape, bool view) {
  size_t bytes = ndim <= GPT_MAX_DIMS ? count_bytes(dtype, ndim, shape) : SIZE_MAX;
  if (offset > file->size || bytes > file->size - offset)
    return gpt_fail_null(env, "a tensor that lies outside its file");
  GptDtype kind = dtype == GPT_FILE_I64 ? GPT_I64 : GPT_F32;
  char *data = file->data + offset;
  bool plain = dtype == GPT_FILE_F32 || dtype == GPT_FILE_I64, aligned = (uintptr_t)data % dtypes[dtype].size == 0;
  if (view && plain && aligned && bytes > 0) return view_of(env, file, data, kind, bytes, ndim, shape);
  return copy_of(env, data, dtype, kind, ndim, shape);
}
