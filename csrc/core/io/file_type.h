/* How numbers lie in files: as a dtype has them, or in a form that becomes one while it is read. */
#ifndef GPT_FILE_TYPE_H
#define GPT_FILE_TYPE_H

#include "core/kernels/dtype.h"

typedef struct GptFileType {
  GptDtype dtype; /* what a tensor of them is */
  size_t size;    /* bytes of a number; where nothing is converted, of a block */
  void (*convert)(void *to, const void *from, int64_t n); /* NULL: they are as the dtype has them; else any alignment */
} GptFileType;

/* A number that no other type has. */
uint64_t gpt_file_type_number(const GptFileType *type);

/* By its name in safetensors files, "F32". Of the format's dtypes those that become one here: F64 becomes f32; I8, I16,
   I32, U8, U16, U32 and BOOL become i64. */
bool gpt_file_type_safetensors(const char *name, GptFileType *type);

/* By its name in numpy's files, "<f4": f2, f4, f8, i1 to i8, u1 to u8 and b1, of both byte orders; f8 becomes f32, all of
   integers and b1 become i64 (a u8 past 2^63 - 1 a negative one). */
bool gpt_file_type_numpy(const char *name, GptFileType *type);

/* By its number in GGUF: the dtypes; f64 becomes f32, i8, i16 and i32 become i64. */
bool gpt_file_type_gguf(uint32_t number, GptFileType *type);

#endif
