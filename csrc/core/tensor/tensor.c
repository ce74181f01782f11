#include "core/tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

size_t gpt_dtype_size(GptDtype dtype) { return dtype == GPT_I64 ? sizeof(int64_t) : sizeof(float); }

const char *gpt_dtype_name(GptDtype dtype) { return dtype == GPT_I64 ? "i64" : "f32"; }

float *gpt_floats(const GptTensor *tensor) { return (float *)tensor->storage->data + tensor->offset; }

int64_t *gpt_integers(const GptTensor *tensor) { return (int64_t *)tensor->storage->data + tensor->offset; }

void gpt_tensor_written(GptTensor *tensor) { tensor->storage->version++; }

bool gpt_tensor_wants_grad(const GptTensor *tensor) { return tensor->requires_grad || tensor->node != NULL; }

int64_t gpt_tensor_numel(const GptTensor *tensor) {
  int64_t n = 1;
  for (int d = 0; d < tensor->ndim; d++) n *= tensor->shape[d];
  return n;
}

bool gpt_same_shape(const GptTensor *a, const GptTensor *b) {
  return a->ndim == b->ndim && memcmp(a->shape, b->shape, (size_t)a->ndim * sizeof a->shape[0]) == 0;
}

void gpt_contiguous_strides(int ndim, const int64_t *shape, int64_t *stride) {
  int64_t step = 1;
  for (int d = ndim - 1; d >= 0; d--) {
    stride[d] = step;
    step *= shape[d];
  }
}

bool gpt_tensor_contiguous(const GptTensor *tensor) {
  int64_t step = 1;
  for (int d = tensor->ndim - 1; d >= 0; d--) {
    if (tensor->shape[d] != 1 && tensor->stride[d] != step) return gpt_tensor_numel(tensor) == 0;
    step *= tensor->shape[d];
  }
  return true;
}

const char *gpt_shape_text(int ndim, const int64_t *shape, char *text) {
  size_t at = 1;
  text[0] = '[';
  text[1] = '\0';
  for (int d = 0; d < ndim; d++)
    at += (size_t)snprintf(text + at, GPT_SHAPE_TEXT - at, d == 0 ? "%lld" : ", %lld", (long long)shape[d]);
  snprintf(text + at, GPT_SHAPE_TEXT - at, "]");
  return text;
}

const char *gpt_tensor_shape_text(const GptTensor *tensor, char *text) {
  return gpt_shape_text(tensor->ndim, tensor->shape, text);
}

/* Bytes of a shape, or false and a message where it is none or too large to count. */
static bool count_bytes(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, size_t *bytes) {
  char text[GPT_SHAPE_TEXT];
  int64_t total = (int64_t)gpt_dtype_size(dtype);
  if (ndim > GPT_MAX_DIMS) return gpt_fail(env, "a tensor has at most %d dimensions, got %d", GPT_MAX_DIMS, ndim);
  for (int d = 0; d < ndim; d++) {
    if (shape[d] < 0) return gpt_fail(env, "a shape has no negative sizes, got %s", gpt_shape_text(ndim, shape, text));
    if (__builtin_mul_overflow(total, shape[d] > 0 ? shape[d] : 1, &total))
      return gpt_fail(env, "a tensor of shape %s is too large", gpt_shape_text(ndim, shape, text));
  }
  *bytes = (size_t)total;
  for (int d = 0; d < ndim; d++)
    if (shape[d] == 0) *bytes = 0;
  return true;
}

GptStorage *gpt_storage_wrap(GptEnv *env, GptDtype dtype, void *data, size_t bytes, void (*release)(GptStorage *),
                             void *owner) {
  GptStorage *storage = gpt_alloc(env, sizeof *storage);
  if (storage == NULL) return NULL;
  *storage = (GptStorage){
      .refs = 1, .env = env, .dtype = dtype, .bytes = bytes, .data = data, .release = release, .owner = owner};
  return storage;
}

void gpt_storage_release(GptStorage *storage) {
  if (storage == NULL || --storage->refs > 0) return;
  if (storage->release != NULL) storage->release(storage);
  else gpt_free(storage->env, storage->data);
  gpt_free(storage->env, storage);
}

static GptStorage *new_storage(GptEnv *env, GptDtype dtype, size_t bytes, bool zeroed) {
  void *data = zeroed ? gpt_alloc_zeroed(env, bytes) : gpt_alloc(env, bytes);
  if (data == NULL) return NULL;
  GptStorage *storage = gpt_storage_wrap(env, dtype, data, bytes, NULL, NULL);
  if (storage == NULL) gpt_free(env, data);
  return storage;
}

/* A tensor that takes over one reference to the storage; releases it on failure. */
static GptTensor *new_tensor(GptEnv *env, GptStorage *storage, int ndim, const int64_t *shape, const int64_t *stride,
                             int64_t offset) {
  if (storage == NULL) return NULL;
  GptTensor *tensor = gpt_alloc_zeroed(env, sizeof *tensor);
  if (tensor == NULL) {
    gpt_storage_release(storage);
    return NULL;
  }
  tensor->refs = 1;
  tensor->env = env;
  tensor->storage = storage;
  tensor->ndim = ndim;
  tensor->offset = offset;
  if (ndim > 0) memcpy(tensor->shape, shape, (size_t)ndim * sizeof *shape); /* a number may come without a shape */
  if (stride != NULL) memcpy(tensor->stride, stride, (size_t)ndim * sizeof *stride);
  else gpt_contiguous_strides(ndim, shape, tensor->stride);
  return tensor;
}

GptTensor *gpt_tensor_new(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape) {
  size_t bytes;
  if (!count_bytes(env, dtype, ndim, shape, &bytes)) return NULL;
  return new_tensor(env, new_storage(env, dtype, bytes, false), ndim, shape, NULL, 0);
}

GptTensor *gpt_tensor_zeros(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape) {
  size_t bytes;
  if (!count_bytes(env, dtype, ndim, shape, &bytes)) return NULL;
  return new_tensor(env, new_storage(env, dtype, bytes, true), ndim, shape, NULL, 0);
}

GptTensor *gpt_tensor_like(GptEnv *env, const GptTensor *tensor) {
  if (tensor == NULL) return NULL;
  return gpt_tensor_new(env, tensor->storage->dtype, tensor->ndim, tensor->shape);
}

GptTensor *gpt_tensor_number(GptEnv *env, double value) {
  GptTensor *tensor = gpt_tensor_new(env, GPT_F32, 0, NULL);
  if (tensor != NULL) *gpt_floats(tensor) = (float)value;
  return tensor;
}

GptTensor *gpt_tensor_over(GptEnv *env, GptStorage *storage, int64_t offset, int ndim, const int64_t *shape) {
  storage->refs++;
  return new_tensor(env, storage, ndim, shape, NULL, offset);
}

GptTensor *gpt_tensor_view(GptEnv *env, const GptTensor *tensor, int ndim, const int64_t *shape, const int64_t *stride,
                           int64_t offset) {
  if (tensor == NULL) return NULL;
  tensor->storage->refs++;
  return new_tensor(env, tensor->storage, ndim, shape, stride, offset);
}

GptTensor *gpt_tensor_detach(GptEnv *env, const GptTensor *tensor) {
  if (tensor == NULL) return NULL;
  return gpt_tensor_view(env, tensor, tensor->ndim, tensor->shape, tensor->stride, tensor->offset);
}

GptTensor *gpt_tensor_retain(GptTensor *tensor) {
  if (tensor != NULL) tensor->refs++;
  return tensor;
}

bool gpt_tensor_set_grad(GptTensor *tensor, GptTensor *grad) {
  bool refused = tensor->env->collecting;
  GptTensor *dropped = refused ? grad : tensor->grad;
  if (!refused) tensor->grad = grad;
  gpt_tensor_release(dropped);
  return !refused || gpt_fail(tensor->env, "a finalizer exchanges a gradient in the middle of an operation");
}

/* A matrix of elements of that many bytes, strides in bytes. The rows are taken in narrow strips, so that a transposing
   copy finds the lines of memory it touched a row ago still in the cache. */
static inline __attribute__((always_inline)) void copy_matrix(char *dst, const int64_t *dst_stride, const char *src,
                                                              const int64_t *src_stride, int64_t rows, int64_t columns,
                                                              size_t size) {
  const int64_t strip = 16;
  for (int64_t first = 0; first < columns; first += strip) {
    int64_t last = first + strip < columns ? first + strip : columns;
    for (int64_t i = 0; i < rows; i++) {
      char *to = dst + i * dst_stride[0];
      const char *from = src + i * src_stride[0];
      for (int64_t j = first; j < last; j++) memcpy(to + j * dst_stride[1], from + j * src_stride[1], size);
    }
  }
}

/* One copy between equally shaped walks over memory, strides in bytes; contiguous runs go by memcpy. */
static void copy_strided(char *dst, const int64_t *dst_stride, const char *src, const int64_t *src_stride,
                         const int64_t *shape, int ndim, size_t size) {
  bool run = ndim >= 1 && dst_stride[ndim - 1] == (int64_t)size && src_stride[ndim - 1] == (int64_t)size;
  if (ndim == 1 && run) {
    memcpy(dst, src, (size_t)shape[0] * size);
  } else if (ndim == 2 && !run) {
    if (size == 4) copy_matrix(dst, dst_stride, src, src_stride, shape[0], shape[1], 4);
    else if (size == 8) copy_matrix(dst, dst_stride, src, src_stride, shape[0], shape[1], 8);
    else copy_matrix(dst, dst_stride, src, src_stride, shape[0], shape[1], size);
  } else if (ndim == 1) {
    copy_strided(dst, (int64_t[]){0, dst_stride[0]}, src, (int64_t[]){0, src_stride[0]}, (int64_t[]){1, shape[0]}, 2,
                 size);
  } else if (ndim == 0) {
    memcpy(dst, src, size);
  } else {
    for (int64_t i = 0; i < shape[0]; i++)
      copy_strided(dst + i * dst_stride[0], dst_stride + 1, src + i * src_stride[0], src_stride + 1, shape + 1,
                   ndim - 1, size);
  }
}

static void byte_strides(const GptTensor *tensor, int64_t *stride) {
  for (int d = 0; d < tensor->ndim; d++)
    stride[d] = tensor->stride[d] * (int64_t)gpt_dtype_size(tensor->storage->dtype);
}

void gpt_copy_elements(GptTensor *dst, const GptTensor *src) {
  size_t size = gpt_dtype_size(dst->storage->dtype);
  char *to = (char *)dst->storage->data + (size_t)dst->offset * size;
  const char *from = (const char *)src->storage->data + (size_t)src->offset * size;
  int64_t to_stride[GPT_MAX_DIMS], from_stride[GPT_MAX_DIMS];
  if (gpt_tensor_numel(dst) == 0) return;
  byte_strides(dst, to_stride);
  byte_strides(src, from_stride);
  if (gpt_tensor_contiguous(dst) && gpt_tensor_contiguous(src)) memmove(to, from, (size_t)gpt_tensor_numel(dst) * size);
  else copy_strided(to, to_stride, from, from_stride, dst->shape, dst->ndim, size);
}

GptTensor *gpt_tensor_copy(GptEnv *env, const GptTensor *tensor) {
  GptTensor *copy = gpt_tensor_like(env, tensor);
  if (copy != NULL) gpt_copy_elements(copy, tensor);
  return copy;
}

GptTensor *gpt_tensor_as_contiguous(GptEnv *env, GptTensor *tensor) {
  return tensor == NULL || gpt_tensor_contiguous(tensor) ? gpt_tensor_retain(tensor) : gpt_tensor_copy(env, tensor);
}

GptTensor *gpt_tensor_contiguous_floats(GptEnv *env, GptTensor *tensor) {
  if (tensor == NULL || tensor->storage->dtype == GPT_F32) return gpt_tensor_as_contiguous(env, tensor);
  GptTensor *contiguous = gpt_tensor_as_contiguous(env, tensor), *floats = NULL;
  if (contiguous != NULL) floats = gpt_tensor_new(env, GPT_F32, tensor->ndim, tensor->shape);
  int64_t n = floats != NULL ? gpt_tensor_numel(floats) : 0;
  for (int64_t i = 0; i < n; i++) gpt_floats(floats)[i] = (float)gpt_integers(contiguous)[i];
  gpt_tensor_release(contiguous);
  return floats;
}
