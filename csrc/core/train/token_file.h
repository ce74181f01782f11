/*
 * Long lists of token ids to train on: in memory, or a file of raw little-endian numbers, 2 or 4 bytes each, with
 * or without a header. A file is mapped, read where it lies, and may be larger than memory; or it is read into memory.
 */
#ifndef GPT_TOKENS_H
#define GPT_TOKENS_H

#include "core/io/mapped_file.h"

typedef struct GptTokens {
  GptEnv *env;
  GptMappedFile *file; /* NULL: in memory */
  uint8_t *data;       /* [count * width], little-endian */
  bool fixed;          /* a file's: does not grow */
  int width;           /* 2 or 4: bytes of an id */
  int64_t count;
  size_t capacity;
} GptTokens;

/* An empty list in memory. */
GptTokens *gpt_tokens_new(GptEnv *env);

/* The ids of a file, `width` bytes each, mapped or read into memory; a file that begins with llm.c's header says itself
   how many bytes. */
GptTokens *gpt_tokens_open(GptEnv *env, const char *path, int width, bool map);

void gpt_tokens_free(GptTokens *tokens); /* NULL is fine */

/* Appends n ids to a list in memory. */
bool gpt_tokens_append(GptTokens *tokens, const int64_t *ids, int64_t n);

/* n ids as the files have them; out has room for n * width bytes. An id that does not fit is an error. */
bool gpt_tokens_pack(GptEnv *env, const int64_t *ids, int64_t n, int width, uint8_t *out);

/*
 * Windows of `length` tokens, and the same moved on by one, what follows each token: ids and targets are contiguous
 * i64 [n, length]; window i begins at starts[i], and starts[i] + length < count.
 */
void gpt_tokens_windows(const GptTokens *tokens, const int64_t *starts, int64_t n, int64_t length, GptTensor *ids,
                        GptTensor *targets);

#endif
