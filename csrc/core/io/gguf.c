#include "core/io/gguf.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/io/json.h"

#define DEFAULT_ALIGNMENT 32

static const char *quote(const GptGgufValue *name, char *quoted) {
  return gpt_quote(name->bytes, (size_t)name->count, quoted);
}

static bool is_named(const GptGgufValue *name, const char *text) {
  return name->count == strlen(text) && memcmp(name->bytes, text, (size_t)name->count) == 0;
}

const GptGgufValue *gpt_gguf_find(const GptGguf *gguf, const char *key) {
  for (size_t i = 0; i < gguf->key_count; i++)
    if (is_named(&gguf->keys[i].name, key)) return &gguf->keys[i].value;
  return NULL;
}

static uint32_t next_u32(const char **at) {
  uint32_t value;
  memcpy(&value, *at, sizeof value);
  *at += sizeof value;
  return value;
}

static uint64_t next_u64(const char **at) {
  uint64_t value;
  memcpy(&value, *at, sizeof value);
  *at += sizeof value;
  return value;
}

/* The order of two names' bytes. */
static int compare_names(const void *a, const void *b) {
  const GptGgufValue *x = *(const GptGgufValue *const *)a, *y = *(const GptGgufValue *const *)b;
  int order = memcmp(x->bytes, y->bytes, (size_t)(x->count < y->count ? x->count : y->count));
  return order != 0 ? order : (x->count > y->count) - (x->count < y->count);
}

/* Fails where two of the names, which begin `step` bytes apart, are the same. */
static bool check_unique(GptEnv *env, const char *what, const GptGgufValue *first, size_t count, size_t step) {
  char quoted[GPT_QUOTE_SIZE];
  const GptGgufValue **sorted = gpt_alloc(env, count * sizeof *sorted);
  if (sorted == NULL) return false;
  for (size_t i = 0; i < count; i++) sorted[i] = (const void *)((const char *)first + i * step);
  qsort(sorted, count, sizeof *sorted, compare_names);
  bool good = true;
  for (size_t i = 1; i < count && good; i++)
    if (compare_names(&sorted[i - 1], &sorted[i]) == 0)
      good = gpt_fail(env, "%s %s comes twice", what, quote(sorted[i], quoted));
  gpt_free(env, sorted);
  return good;
}

static bool read_keys(GptGguf *gguf, const char **at) {
  gguf->keys = gpt_alloc(gguf->env, gguf->key_count * sizeof *gguf->keys);
  if (gguf->keys == NULL) return false;
  for (size_t i = 0; i < gguf->key_count; i++) {
    GptGgufKey *key = &gguf->keys[i];
    key->name = gpt_gguf_next(GPT_GGUF_STRING, at);
    key->value = gpt_gguf_next((GptGgufType)next_u32(at), at);
    if (key->name.count == 0)
      return gpt_fail(gguf->env, "key %zu of %zu has an empty name", i + 1, gguf->key_count);
  }
  return check_unique(gguf->env, "key", &gguf->keys[0].name, gguf->key_count, sizeof *gguf->keys);
}

static bool read_alignment(GptGguf *gguf) {
  const GptGgufValue *value = gpt_gguf_find(gguf, "general.alignment");
  int64_t number = DEFAULT_ALIGNMENT;
  bool good = value == NULL || (value->type == GPT_GGUF_U32 && gpt_gguf_integer(value, &number));
  if (!good || number == 0 || (number & (number - 1)) != 0)
    return gpt_fail(gguf->env, "general.alignment is not a power of two as a u32");
  gguf->alignment = (uint32_t)number;
  return true;
}

static bool refuse_split(GptGguf *gguf) {
  const GptGgufValue *count = gpt_gguf_find(gguf, "split.count"), *part = gpt_gguf_find(gguf, "split.no");
  int64_t parts = 0, number = 0;
  if (count == NULL || !gpt_gguf_integer(count, &parts) || parts <= 1) return true;
  if (part != NULL) gpt_gguf_integer(part, &number);
  return gpt_fail(gguf->env, "part %lld of a model that is split into %lld files (split.count), which is not supported; "
                             "llama.cpp's llama-gguf-split --merge joins them", (long long)number + 1, (long long)parts);
}

/* Bytes of a tensor of that shape; false where no file could hold it, or no tensor whatever its type becomes here. That
   is so, too, where one of the sizes is 0: strides are made of the others. */
static bool count_bytes(const GptGgufTensor *tensor, size_t *bytes) {
  int64_t count = 1;
  bool empty = false;
  for (int d = 0; d < tensor->ndim; d++) {
    int64_t size = tensor->shape[d];
    if (size < 0 || __builtin_mul_overflow(count, size > 0 ? size : 1, &count)) return false;
    empty = empty || size == 0;
  }
  *bytes = empty ? 0 : (size_t)(count / tensor->encoding->block) * tensor->encoding->bytes;
  return count <= INT64_MAX / 512; /* no encoding takes more than 64 bytes an element */
}

static bool check_shape(GptGguf *gguf, GptGgufTensor *tensor) {
  char text[GPT_SHAPE_TEXT];
  const GptGgufEncoding *encoding = tensor->encoding;
  int64_t row = tensor->ndim > 0 ? tensor->shape[tensor->ndim - 1] : 1;
  gpt_shape_text(tensor->ndim, tensor->shape, text);
  if (!count_bytes(tensor, &tensor->bytes)) return gpt_fail(gguf->env, "no file holds %s of %s", text, encoding->name);
  if (row % encoding->block == 0) return true;
  return gpt_fail(gguf->env, "%s of %s, whose rows are multiples of %d", text, encoding->name, encoding->block);
}

/* Where the bytes lie: `start` is where the first tensor's may. */
static bool check_place(GptGguf *gguf, GptGgufTensor *tensor, size_t start, uint64_t offset) {
  size_t size = gguf->file->size;
  if (offset % gguf->alignment != 0)
    return gpt_fail(gguf->env, "its position %llu is not a multiple of the alignment, %u", (unsigned long long)offset,
                    gguf->alignment);
  if (start > size || offset > size - start || tensor->bytes > size - start - (size_t)offset)
    return gpt_fail(gguf->env, "cut short: %zu bytes at position %llu behind byte %zu, the file ends at %zu",
                    tensor->bytes, (unsigned long long)offset, start, size);
  tensor->offset = start + (size_t)offset;
  return true;
}

static bool read_encoding(GptGguf *gguf, GptGgufTensor *tensor, uint32_t number) {
  tensor->encoding = gpt_gguf_encoding(number);
  return tensor->encoding != NULL || gpt_fail(gguf->env, "the format has no tensors of type %u", number);
}

static bool read_gguf_tensor(GptGguf *gguf, GptGgufTensor *tensor, size_t start, const char **at) {
  char quoted[GPT_QUOTE_SIZE];
  tensor->name = gpt_gguf_next(GPT_GGUF_STRING, at);
  tensor->ndim = (int)next_u32(at);
  for (int d = tensor->ndim - 1; d >= 0; d--) tensor->shape[d] = (int64_t)next_u64(at);
  uint32_t encoding = next_u32(at);
  uint64_t offset = next_u64(at);
  bool good = read_encoding(gguf, tensor, encoding) && check_shape(gguf, tensor) &&
              check_place(gguf, tensor, start, offset);
  return good || gpt_fail_at(gguf->env, "tensor %s", quote(&tensor->name, quoted));
}

static int compare_places(const void *a, const void *b) {
  const GptGgufTensor *x = *(const GptGgufTensor *const *)a, *y = *(const GptGgufTensor *const *)b;
  if (x->offset != y->offset) return x->offset < y->offset ? -1 : 1;
  return (x->bytes > y->bytes) - (x->bytes < y->bytes);
}

static bool check_overlaps(GptGguf *gguf) {
  char first[GPT_QUOTE_SIZE], second[GPT_QUOTE_SIZE];
  const GptGgufTensor **sorted = gpt_alloc(gguf->env, gguf->tensor_count * sizeof *sorted);
  if (sorted == NULL) return false;
  for (size_t i = 0; i < gguf->tensor_count; i++) sorted[i] = &gguf->tensors[i];
  qsort(sorted, gguf->tensor_count, sizeof *sorted, compare_places);
  bool good = true;
  for (size_t i = 1; i < gguf->tensor_count && good; i++) {
    const GptGgufTensor *a = sorted[i - 1], *b = sorted[i];
    if (a->offset + a->bytes > b->offset)
      good = gpt_fail(gguf->env, "tensors %s and %s overlap: %zu bytes at %zu and %zu at %zu", quote(&a->name, first),
                      quote(&b->name, second), a->bytes, a->offset, b->bytes, b->offset);
  }
  gpt_free(gguf->env, sorted);
  return good;
}

static bool read_tensors(GptGguf *gguf, const char **at) {
  size_t mask = gguf->alignment - 1, start = (gguf->header_size + mask) & ~mask;
  gguf->tensors = gpt_alloc(gguf->env, gguf->tensor_count * sizeof *gguf->tensors);
  if (gguf->tensors == NULL) return false;
  for (size_t i = 0; i < gguf->tensor_count; i++)
    if (!read_gguf_tensor(gguf, &gguf->tensors[i], start, at)) return false;
  return check_unique(gguf->env, "tensor", &gguf->tensors[0].name, gguf->tensor_count, sizeof *gguf->tensors) &&
         check_overlaps(gguf);
}

/* What a header says whose structure has been checked. */
static bool read_parts(GptGguf *gguf) {
  const char *at = gguf->header + 4;
  gguf->version = next_u32(&at);
  gguf->tensor_count = (size_t)next_u64(&at);
  gguf->key_count = (size_t)next_u64(&at);
  return read_keys(gguf, &at) && read_alignment(gguf) && refuse_split(gguf) && read_tensors(gguf, &at);
}

GptGguf *gpt_gguf_open(GptEnv *env, const char *path) {
  GptGguf *gguf = gpt_alloc_zeroed(env, sizeof *gguf);
  if (gguf == NULL) return NULL;
  gguf->env = env;
  gguf->file = gpt_mapped_file_open(env, path);
  if (gguf->file != NULL) {
    gguf->header = gpt_gguf_read_header(env, gguf->file, &gguf->header_size);
    if (gguf->header != NULL && read_parts(gguf)) return gguf;
    gpt_fail_at(env, "%s", path);
  }
  gpt_gguf_close(gguf);
  return NULL;
}

void gpt_gguf_close(GptGguf *gguf) {
  if (gguf == NULL) return;
  gpt_mapped_file_close(gguf->file);
  gpt_free(gguf->env, gguf->header);
  gpt_free(gguf->env, gguf->keys);
  gpt_free(gguf->env, gguf->tensors);
  gpt_free(gguf->env, gguf);
}

GptTensor *gpt_gguf_tensor(GptEnv *env, const GptGguf *gguf, size_t number, bool view) {
  char quoted[GPT_QUOTE_SIZE];
  GptFileType type;
  const GptGgufTensor *tensor = &gguf->tensors[number];
  if (gpt_file_type_gguf(tensor->encoding->number, &type))
    return gpt_mapped_file_tensor(env, gguf->file, tensor->offset, &type, tensor->ndim, tensor->shape, view);
  return gpt_fail_null(env, "%s: tensor %s is %s, which is not implemented", gguf->file->path,
                       quote(&tensor->name, quoted), tensor->encoding->name);
}
