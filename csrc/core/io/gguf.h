/*
 * GGUF, the file format of llama.cpp: metadata (typed values by key), descriptions of tensors, then their bytes.
 * Versions 2 and 3, little-endian.
 *
 * A file from outside is checked before it is believed. gguf_header.c reads all that comes before the tensors' bytes
 * into memory and holds every length and count in it against the file; gguf.c then checks what it says: keys and names
 * that come twice, alignment, types, shapes, and where the tensors lie. Whoever has a GptGguf need check no byte of it.
 */
#ifndef GPT_GGUF_H
#define GPT_GGUF_H

#include "core/io/mapped_file.h"

#define GPT_GGUF_MAX_DIMS 4
#define GPT_GGUF_MAX_DEPTH 8 /* of arrays in arrays */

/* Types of values, with the format's numbers. */
typedef enum GptGgufType {
  GPT_GGUF_U8, GPT_GGUF_I8, GPT_GGUF_U16, GPT_GGUF_I16, GPT_GGUF_U32, GPT_GGUF_I32, GPT_GGUF_F32,
  GPT_GGUF_BOOL,   /* a byte, 0 or 1 */
  GPT_GGUF_STRING, /* its length (u64), its bytes: any bytes */
  GPT_GGUF_ARRAY,  /* the type of its elements (u32), how many (u64), the elements */
  GPT_GGUF_U64, GPT_GGUF_I64, GPT_GGUF_F64,
  GPT_GGUF_TYPES, /* how many there are */
} GptGgufType;

/* A value, as it lies in the header: little-endian, unaligned. */
typedef struct GptGgufValue {
  GptGgufType type;
  GptGgufType item;  /* of an array: the type of its elements */
  uint64_t count;    /* of a string: bytes; of an array: elements; otherwise 1 */
  const char *bytes; /* of the number, the string, the first element */
} GptGgufValue;

typedef struct GptGgufKey {
  GptGgufValue name; /* a string */
  GptGgufValue value;
} GptGgufKey;

/* How tensors' elements are stored: so many elements in a block of so many bytes. */
typedef struct GptGgufEncoding {
  const char *name; /* "q4_0" */
  uint16_t block, bytes;
  uint16_t number; /* the format's */
} GptGgufEncoding;

typedef struct GptGgufTensor {
  GptGgufValue name; /* a string */
  const GptGgufEncoding *encoding;
  int ndim;
  int64_t shape[GPT_GGUF_MAX_DIMS]; /* outermost first, as everywhere in the core; the file has it innermost first */
  size_t offset, bytes;             /* in the file */
} GptGgufTensor;

typedef struct GptGguf {
  GptEnv *env;
  GptMappedFile *file;
  char *header; /* what keys and tensors point into */
  size_t header_size;
  uint32_t version, alignment;
  size_t key_count, tensor_count;
  GptGgufKey *keys;       /* [key_count], in the file's order */
  GptGgufTensor *tensors; /* [tensor_count], likewise */
} GptGguf;

/* NULL and a message, which names the file and what is wrong where, for anything but a good file. */
GptGguf *gpt_gguf_open(GptEnv *env, const char *path);

/* Tensors that were made of it keep what they need. NULL is fine. */
void gpt_gguf_close(GptGguf *gguf);

/* The value of a key, or NULL. */
const GptGgufValue *gpt_gguf_find(const GptGguf *gguf, const char *key);

/* The value of that type that lies at *at; moves *at behind it. For the elements of an array: begin at its bytes. */
GptGgufValue gpt_gguf_next(GptGgufType type, const char **at);

/* A whole number's value (u64 past INT64_MAX: -1 and false), and any number's or truth value's; false for other types. */
bool gpt_gguf_integer(const GptGgufValue *value, int64_t *number);
bool gpt_gguf_float(const GptGgufValue *value, double *number);

/* Bytes of a number or truth value of that type; 0 for strings, arrays and unknown types. */
size_t gpt_gguf_type_size(uint32_t type);

#define GPT_GGUF_ENCODINGS 43 /* the format's numbers lie below */

/* The encoding that the format gives that number; NULL: none. */
const GptGgufEncoding *gpt_gguf_encoding(uint32_t number);

/* One of its tensors, as the file has it: f32, f16, bf16, i64 and the block types in their own dtype, with `view` as
   views of the mapping where they lie aligned; f64 becomes f32, the other whole numbers i64. Other encodings are an
   error by name. */
GptTensor *gpt_gguf_tensor(GptEnv *env, const GptGguf *gguf, size_t number, bool view);

/* Reads everything before the tensors' bytes: a block of *size bytes, to be freed, in which every string, value and
   description lies whole. NULL and a message, without the file's name, where that cannot be. */
char *gpt_gguf_read_header(GptEnv *env, GptMappedFile *file, size_t *size);

#endif
