#include "core/io/file_type.h"

#include <string.h>

#define AS_IS(bits) (bits)
#define SWAP16(bits) __builtin_bswap16(bits)
#define SWAP32(bits) __builtin_bswap32(bits)
#define SWAP64(bits) __builtin_bswap64(bits)

/* convert_NAME: numbers of type From, whose bits are unsigned ones of type Bits in some order, become ones of type To. */
#define CONVERTER(NAME, To, From, Bits, ORDER)                              \
  static void convert_##NAME(void *to, const void *from, int64_t n) {       \
    for (int64_t i = 0; i < n; i++) {                                       \
      Bits bits;                                                            \
      From value;                                                           \
      memcpy(&bits, (const char *)from + (size_t)i * sizeof bits, sizeof bits); \
      bits = ORDER(bits);                                                   \
      memcpy(&value, &bits, sizeof value);                                  \
      ((To *)to)[i] = (To)value;                                            \
    }                                                                       \
  }

CONVERTER(f64, float, double, uint64_t, AS_IS)
CONVERTER(i8, int64_t, int8_t, uint8_t, AS_IS)
CONVERTER(u8, int64_t, uint8_t, uint8_t, AS_IS)
CONVERTER(i16, int64_t, int16_t, uint16_t, AS_IS)
CONVERTER(u16, int64_t, uint16_t, uint16_t, AS_IS)
CONVERTER(i32, int64_t, int32_t, uint32_t, AS_IS)
CONVERTER(u32, int64_t, uint32_t, uint32_t, AS_IS)
CONVERTER(u64, int64_t, uint64_t, uint64_t, AS_IS)

/* The most significant byte first. */
CONVERTER(big_f16, uint16_t, uint16_t, uint16_t, SWAP16)
CONVERTER(big_f32, float, float, uint32_t, SWAP32)
CONVERTER(big_f64, float, double, uint64_t, SWAP64)
CONVERTER(big_i16, int64_t, int16_t, uint16_t, SWAP16)
CONVERTER(big_u16, int64_t, uint16_t, uint16_t, SWAP16)
CONVERTER(big_i32, int64_t, int32_t, uint32_t, SWAP32)
CONVERTER(big_u32, int64_t, uint32_t, uint32_t, SWAP32)
CONVERTER(big_i64, int64_t, int64_t, uint64_t, SWAP64)
CONVERTER(big_u64, int64_t, uint64_t, uint64_t, SWAP64)

/* What is no dtype here, by its names in the formats. */
static const struct {
  const char *safetensors, *numpy; /* NULL: the format has none */
  int gguf;                        /* -1: the format has none */
  GptFileType type;
} foreign[] = {
    {"F64", "<f8", 28, {GPT_F32, 8, convert_f64}},   {"I8", "|i1", 24, {GPT_I64, 1, convert_i8}},
    {"I16", "<i2", 25, {GPT_I64, 2, convert_i16}},   {"I32", "<i4", 26, {GPT_I64, 4, convert_i32}},
    {"U8", "|u1", -1, {GPT_I64, 1, convert_u8}},     {"U16", "<u2", -1, {GPT_I64, 2, convert_u16}},
    {"U32", "<u4", -1, {GPT_I64, 4, convert_u32}},   {"BOOL", "|b1", -1, {GPT_I64, 1, convert_u8}},
    {NULL, "<u8", -1, {GPT_I64, 8, convert_u64}},    {NULL, ">f2", -1, {GPT_F16, 2, convert_big_f16}},
    {NULL, ">f4", -1, {GPT_F32, 4, convert_big_f32}}, {NULL, ">f8", -1, {GPT_F32, 8, convert_big_f64}},
    {NULL, ">i2", -1, {GPT_I64, 2, convert_big_i16}}, {NULL, ">i4", -1, {GPT_I64, 4, convert_big_i32}},
    {NULL, ">i8", -1, {GPT_I64, 8, convert_big_i64}}, {NULL, ">u2", -1, {GPT_I64, 2, convert_big_u16}},
    {NULL, ">u4", -1, {GPT_I64, 4, convert_big_u32}}, {NULL, ">u8", -1, {GPT_I64, 8, convert_big_u64}},
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
    if (foreign[i].safetensors == NULL || strcmp(name, foreign[i].safetensors) != 0) continue;
    *type = foreign[i].type;
    return true;
  }
  return plain;
}

bool gpt_file_type_numpy(const char *name, GptFileType *type) {
  static const struct {
    const char *name;
    GptDtype dtype;
  } plain[] = {{"<f4", GPT_F32}, {"<f2", GPT_F16}, {"<i8", GPT_I64}};
  for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++) {
    if (strcmp(name, plain[i].name) != 0) continue;
    *type = plain_type(plain[i].dtype);
    return true;
  }
  for (size_t i = 0; i < FOREIGN; i++) {
    if (foreign[i].numpy == NULL || strcmp(name, foreign[i].numpy) != 0) continue;
    *type = foreign[i].type;
    return true;
  }
  return false;
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
