/*
 * Dtypes: how numbers lie in a storage. A dtype is a row of one table, and nothing else in the core knows what stands
 * inside a block.
 *
 * Numbers are grouped in blocks along the last dimension: one number a block for the plain dtypes, 32 or 256 for those
 * of GGUF, which share a scale. Whatever is little-endian in files is little-endian here.
 */
#ifndef GPT_DTYPE_H
#define GPT_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum GptDtype {
  GPT_F32,  /* IEEE single: what everything computes in */
  GPT_I64,  /* token ids, positions, truth values */
  GPT_F16,  /* IEEE half */
  GPT_BF16, /* the upper half of an IEEE single */
  GPT_Q8_0, /* 32 x int8, one f16 scale */
  GPT_Q4_0, /* 32 x 4 bits, -8 .. 7, one f16 scale */
  GPT_Q4_1, /* 32 x 4 bits, 0 .. 15, f16 scale and minimum */
  GPT_Q5_0, /* 32 x 5 bits, -16 .. 15, one f16 scale */
  GPT_Q5_1, /* 32 x 5 bits, 0 .. 31, f16 scale and minimum */
  GPT_Q4_K, /* 256 x 4 bits, eight 6-bit scales and minima times two of f16 */
  GPT_Q5_K, /* 256 x 5 bits, the same */
  GPT_Q6_K, /* 256 x 6 bits, sixteen int8 scales times one of f16 */
  GPT_DTYPES, /* how many there are */
} GptDtype;

typedef struct GptDtypeRow {
  const char *name;        /* what users see, "q8_0" */
  const char *safetensors; /* its name in those files, "F16"; NULL: the format has none */
  int gguf;                /* its type number in GGUF */
  int64_t block;           /* numbers of a block */
  size_t bytes;            /* bytes of a block */
  /* y = x for n numbers, a multiple of the block; x need not be aligned. Exactly what the numbers are (i64: rounded to
     f32). */
  void (*to_floats)(float *y, const void *x, int64_t n);
  /* The other way, to the nearest number that there is; y need not be aligned. NULL: blocks of it are only read. */
  void (*from_floats)(void *y, const float *x, int64_t n);
} GptDtypeRow;

/* The row of a dtype. */
const GptDtypeRow *gpt_dtype(GptDtype dtype);

/* "f32": the name that users see. */
static inline const char *gpt_dtype_name(GptDtype dtype) { return gpt_dtype(dtype)->name; }

/* Is the dtype one of whole blocks, in which no number has an address of its own? */
static inline bool gpt_dtype_blocked(GptDtype dtype) { return gpt_dtype(dtype)->block > 1; }

/* Bytes of n numbers, a multiple of the block; for plain dtypes also the position of number n. */
static inline size_t gpt_dtype_bytes(GptDtype dtype, int64_t n) {
  const GptDtypeRow *row = gpt_dtype(dtype);
  return (size_t)(n / row->block) * row->bytes;
}

/* Finds a dtype by the name that users see, by its name in safetensors files or by its number in GGUF; false where
   there is none. */
bool gpt_dtype_find(const char *name, GptDtype *dtype);
bool gpt_dtype_find_safetensors(const char *name, GptDtype *dtype);
bool gpt_dtype_find_gguf(int number, GptDtype *dtype);

#endif
