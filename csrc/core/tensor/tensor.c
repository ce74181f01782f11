#include "core/tensor/tensor.h"

#include <stdio.h>
#include <string.h>

#include "core/base/memory.h"

void *gpt_tensor_data(const GptTensor *tensor) {
  return (char *)tensor->storage->data + gpt_dtype_bytes(tensor->storage->dtype, tensor->offset);
}

float *gpt_floats(const GptTensor *tensor) { return (float *)tensor->storage->data + tensor->offset; }

int64_t *gpt_integers(const GptTensor *tensor) { return (int64_t *)tensor->storage->data + tensor->offset; }

void gpt_tensor_written(GptTensor *tensor) { tensor->storage->version++; }

bool gpt_tensor_wants_grad(const GptTensor *tensor) { return tensor->requires_grad || tensor->node != NULL; }

int64_t gpt_tensor_numel(const GptTensor *tensor) {
  int64_t n = 1;
  for (int d = 0; d < tensor->ndim; d++) n *= tensor->shape[d];
  return n;
}

int64_t gpt_tensor_matrix(const GptTensor *tensor, int64_t i) {
  int64_t offset = 0;
  for (int d = tensor->ndim - 3; d >= 0; d--) {
    offset += i % tensor->shape[d] * tensor->stride[d];
    i /= tensor->shape[d];
  }
  return offset;
}

bool gpt_tensor_adjoins(const GptTensor *a, const GptTensor *b) {
  return a->storage == b->storage && a->stride[0] == b->stride[0] && a->stride[1] == b->stride[1] &&
         a->shape[1] == b->shape[1] && b->offset == a->offset + a->shape[0] * a->stride[0];
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

/* Rows of a blocked dtype are whole blocks. */
static bool check_blocks(GptEnv *env, const GptDtypeRow *row, int ndim, const int64_t *shape) {
  char text[GPT_SHAPE_TEXT];
  int64_t last = ndim > 0 ? shape[ndim - 1] : 1;
  if (last % row->block == 0) return true;
  return gpt_fail(env, "a %s tensor has rows of whole blocks of %lld numbers; shape %s has rows of %lld", row->name,
                  (long long)row->block, gpt_shape_text(ndim, shape, text), (long long)last);
}

bool gpt_tensor_bytes(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape, size_t *bytes) {
  char text[GPT_SHAPE_TEXT];
  const GptDtypeRow *row = gpt_dtype(dtype);
  int64_t total = 1;
  bool empty = false;
  *bytes = 0;
  if (ndim > GPT_MAX_DIMS) return gpt_fail(env, "a tensor has at most %d dimensions, got %d", GPT_MAX_DIMS, ndim);
  for (int d = 0; d < ndim; d++) {
    if (shape[d] < 0) return gpt_fail(env, "a shape has no negative sizes, got %s", gpt_shape_text(ndim, shape, text));
    if (__builtin_mul_overflow(total, shape[d] > 0 ? shape[d] : 1, &total))
      return gpt_fail(env, "a tensor of shape %s is too large", gpt_shape_text(ndim, shape, text));
    empty = empty || shape[d] == 0;
  }
  if (!check_blocks(env, row, ndim, shape)) return false;
  if (__builtin_mul_overflow(total / row->block, (int64_t)row->bytes, &total) || total > INT64_MAX / 8)
    return gpt_fail(env, "a tensor of shape %s is too large", gpt_shape_text(ndim, shape, text));
  if (!empty) *bytes = (size_t)total;
  return true;
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
  if (!gpt_tensor_bytes(env, dtype, ndim, shape, &bytes)) return NULL;
  return new_tensor(env, gpt_storage_new(env, dtype, bytes, false), ndim, shape, NULL, 0);
}

GptTensor *gpt_tensor_zeros(GptEnv *env, GptDtype dtype, int ndim, const int64_t *shape) {
  size_t bytes;
  if (!gpt_tensor_bytes(env, dtype, ndim, shape, &bytes)) return NULL;
  return new_tensor(env, gpt_storage_new(env, dtype, bytes, true), ndim, shape, NULL, 0);
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

/* Do rows of whole blocks begin where blocks do, with their numbers side by side? */
static bool whole_blocks(int64_t block, int ndim, const int64_t *shape, const int64_t *stride, int64_t offset) {
  bool whole = ndim > 0 && stride[ndim - 1] == 1 && shape[ndim - 1] % block == 0 && offset % block == 0;
  for (int d = 0; d < ndim - 1; d++) whole = whole && (shape[d] <= 1 || stride[d] % block == 0);
  return whole;
}

GptTensor *gpt_tensor_view(GptEnv *env, const GptTensor *tensor, int ndim, const int64_t *shape, const int64_t *stride,
                           int64_t offset) {
  if (tensor == NULL) return NULL;
  const GptDtypeRow *row = gpt_dtype(tensor->storage->dtype);
  if (row->block > 1 && !whole_blocks(row->block, ndim, shape, stride, offset))
    return gpt_fail_null(env,
                         "a view of a %s tensor cannot cut or turn its blocks of %lld numbers; t:float() converts it",
                         row->name, (long long)row->block);
  tensor->storage->refs++;
  return new_tensor(env, tensor->storage, ndim, shape, stride, offset);
}

GptTensor *gpt_tensor_detach(GptEnv *env, const GptTensor *tensor) {
  if (tensor == NULL) return NULL;
  return gpt_tensor_view(env, tensor, tensor->ndim, tensor->shape, tensor->stride, tensor->offset);
}

void gpt_tensor_assume(GptTensor *tensor, const GptTensor *other) {
  GptStorage *old = tensor->storage;
  other->storage->refs++;
  tensor->storage = other->storage;
  tensor->offset = other->offset;
  memcpy(tensor->stride, other->stride, sizeof tensor->stride);
  tensor->requires_grad = false;
  gpt_tensor_set_grad(tensor, NULL);
  gpt_storage_release(old);
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
    else if (size == 2) copy_matrix(dst, dst_stride, src, src_stride, shape[0], shape[1], 2);
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

/* Strides in bytes of the tensor's units, which are blocks. */
static void byte_strides(const GptTensor *tensor, int64_t *stride) {
  const GptDtypeRow *row = gpt_dtype(tensor->storage->dtype);
  for (int d = 0; d < tensor->ndim; d++) stride[d] = tensor->stride[d] / row->block * (int64_t)row->bytes;
  if (row->block > 1) stride[tensor->ndim - 1] = (int64_t)row->bytes;
}

void gpt_copy_elements(GptTensor *dst, const GptTensor *src) {
  const GptDtypeRow *row = gpt_dtype(dst->storage->dtype);
  int64_t to_stride[GPT_MAX_DIMS], from_stride[GPT_MAX_DIMS], shape[GPT_MAX_DIMS], n = gpt_tensor_numel(dst);
  void *to = gpt_tensor_data(dst);
  const void *from = gpt_tensor_data(src);
  if (n == 0) return;
  memcpy(shape, dst->shape, sizeof shape);
  if (row->block > 1) shape[dst->ndim - 1] /= row->block;
  byte_strides(dst, to_stride);
  byte_strides(src, from_stride);
  if (gpt_tensor_contiguous(dst) && gpt_tensor_contiguous(src))
    memmove(to, from, gpt_dtype_bytes(dst->storage->dtype, n));
  else copy_strided(to, to_stride, from, from_stride, shape, dst->ndim, row->bytes);
}

GptTensor *gpt_tensor_copy(GptEnv *env, const GptTensor *tensor) {
  GptTensor *copy = gpt_tensor_like(env, tensor);
  if (copy != NULL) gpt_copy_elements(copy, tensor);
  return copy;
}

GptTensor *gpt_tensor_as_contiguous(GptEnv *env, GptTensor *tensor) {
  return tensor == NULL || gpt_tensor_contiguous(tensor) ? gpt_tensor_retain(tensor) : gpt_tensor_copy(env, tensor);
}
