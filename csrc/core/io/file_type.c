#include "core/io/file_type.h"

#include <string.h>

static void convert_f64(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    double value;
    memcpy(&value, (const char *)from + 8 * i, sizeof value);
    ((float *)to)[i] = (float)value;
  }
}

static void convert_i8(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = ((const int8_t *)from)[i];
}

static void convert_u8(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) ((int64_t *)to)[i] = ((const uint8_t *)from)[i];
}

static void convert_i16(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int16_t value;
    memcpy(&value, (const char *)from + 2 * i, sizeof value);
    ((int64_t *)to)[i] = value;
  }
}

static void convert_u16(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint16_t value;
    memcpy(&value, (const char *)from + 2 * i, sizeof value);
    ((int64_t *)to)[i] = value;
  }
}

static void convert_i32(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    int32_t value;
    memcpy(&value, (const char *)from + 4 * i, sizeof value);
    ((int64_t *)to)[i] = value;
  }
}

static void convert_u32(void *to, const void *from, int64_t n) {
  for (int64_t i = 0; i < n; i++) {
    uint32_t value;
    memcpy(&value, (const char *)from + 4 * i, sizeof value);
    ((int64_t *)to)[i] = value;
  }
}

/* What is no dtype here. */
static const struct {
  const char *safetensors;
  int gguf; /* -1: the format has none */
  GptFileType type;
} foreign[] = {
    {"F64", 28, {GPT_F32, 8, convert_f64}}, {"I8", 24, {GPT_I64, 1, convert_i8}},
    {"I16", 25, {GPT_I64, 2, convert_i16}}, {"I32", 26, {GPT_I64, 4, convert_i32}},
    {"U8", -1, {GPT_I64, 1, convert_u8}},   {"U16", -1, {GPT_I64, 2, convert_u16}},
    {"U32", -1, {GPT_I64, 4, convert_u32}}, {"BOOL", -1, {GPT_I64, 1, convert_u8}},
};

#define FOREIGN (sizeof foreign / sizeof foreign[0])

uint64_t gpt_file_type_number(const GptFileType *type) {
  for (size_t i = 0; i < FOREIGN && type->convert != NULL; i++)
    if (foreign[i].type.convert == type->convert && foreign[i].type.size == type->size) return GPT_DTYPES + i;
  return (uint64_t)type->dtype;
}

static GptFileType plain_type(GptDtype dtype) { return (GptFileType){dtype, gpt_dtype(dtype)->bytes, NULL}; }

bool gpt_file_type_safetensors(const char *name, GptFileType *type) {
  GptDtype dtype;
  bool plain = gpt_dtype_find_safetensors(name, &dtype);
  if (plain) *type = plain_type(dtype);
  for (size_t i = 0; i < FOREIGN && !plain; i++) {
    if (strcmp(name, foreign[i].safetensors) != 0) continue;
    *type = foreign[i].type;
    return true;
  }
  return plain;
}

bool gpt_file_type_gguf(uint32_t number, GptFileType *type) {
  GptDtype dtype;
  bool plain = number <= INT32_MAX && gpt_dtype_find_gguf((int)number, &dtype);
  if (plain) *type = plain_type(dtype);
  for (size_t i = 0; i < FOREIGN && !plain; i++) {
    if (foreign[i].gguf < 0 || (uint32_t)foreign[i].gguf != number) continue;
    *type = foreign[i].type;
    return true;
  }
  return plain;
}
