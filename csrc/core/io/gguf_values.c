/* Values of a header that has been checked: whoever reads them here need not look where they end. */
#include <string.h>

#include "core/io/gguf.h"

static const uint8_t sizes[GPT_GGUF_TYPES] = {
    [GPT_GGUF_U8] = 1,  [GPT_GGUF_I8] = 1,  [GPT_GGUF_U16] = 2,  [GPT_GGUF_I16] = 2, [GPT_GGUF_U32] = 4, [GPT_GGUF_I32] = 4,
    [GPT_GGUF_F32] = 4, [GPT_GGUF_BOOL] = 1, [GPT_GGUF_U64] = 8, [GPT_GGUF_I64] = 8, [GPT_GGUF_F64] = 8,
};

size_t gpt_gguf_type_size(uint32_t type) { return type < GPT_GGUF_TYPES ? sizes[type] : 0; }

static uint32_t read_u32(const char *at) {
  uint32_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

static uint64_t read_u64(const char *at) {
  uint64_t value;
  memcpy(&value, at, sizeof value);
  return value;
}

/* Where an array's elements end. */
static const char *end_of(const GptGgufValue *array) {
  const char *at = array->bytes;
  size_t size = gpt_gguf_type_size(array->item);
  if (size > 0) return at + size * array->count;
  for (uint64_t i = 0; i < array->count; i++) gpt_gguf_next(array->item, &at);
  return at;
}

GptGgufValue gpt_gguf_next(GptGgufType type, const char **at) {
  GptGgufValue value = {.type = type, .count = 1, .bytes = *at};
  if (type == GPT_GGUF_STRING) {
    value.count = read_u64(*at);
    value.bytes = *at + 8;
    *at = value.bytes + value.count;
  } else if (type == GPT_GGUF_ARRAY) {
    value.item = (GptGgufType)read_u32(*at);
    value.count = read_u64(*at + 4);
    value.bytes = *at + 12;
    *at = end_of(&value);
  } else {
    *at += gpt_gguf_type_size(type);
  }
  return value;
}

bool gpt_gguf_integer(const GptGgufValue *value, int64_t *number) {
  size_t size = gpt_gguf_type_size(value->type);
  uint64_t bits = 0;
  bool is_signed = value->type == GPT_GGUF_I8 || value->type == GPT_GGUF_I16 || value->type == GPT_GGUF_I32;
  *number = -1;
  if (size == 0 || value->type == GPT_GGUF_F32 || value->type == GPT_GGUF_F64 || value->type == GPT_GGUF_BOOL)
    return false;
  memcpy(&bits, value->bytes, size);
  if (value->type == GPT_GGUF_U64 && bits > INT64_MAX) return false;
  if (is_signed && (bits >> (8 * size - 1)) != 0) bits |= UINT64_MAX << 8 * size;
  *number = (int64_t)bits;
  return true;
}

bool gpt_gguf_float(const GptGgufValue *value, double *number) {
  int64_t whole;
  float single;
  *number = 0;
  if (value->type == GPT_GGUF_F64) memcpy(number, value->bytes, sizeof *number);
  else if (value->type == GPT_GGUF_F32) *number = (memcpy(&single, value->bytes, sizeof single), (double)single);
  else if (value->type == GPT_GGUF_BOOL) *number = value->bytes[0];
  else if (gpt_gguf_integer(value, &whole)) *number = (double)whole;
  else if (value->type == GPT_GGUF_U64) *number = (double)read_u64(value->bytes);
  else return false;
  return true;
}
