/*
 * Files mapped into memory. The mapping is private: whoever loads the same file shares its pages through the system,
 * and a write (an optimizer's step) touches only the writer's copy of a page. Mapped bytes are counted in
 * env->memory.mapped, not as live ones.
 *
 * A file that somebody replaces by renaming another one over it stays as it was for those who have it mapped. One that
 * is cut short in place raises SIGBUS at the next use of a lost page, as with every mapped file; sizes are checked at
 * opening only. Tensors that are copied are read from the file itself, where that is an error like any other.
 */
#ifndef GPT_MAPPED_FILE_H
#define GPT_MAPPED_FILE_H

#include "core/tensor/tensor.h"

typedef struct GptMappedFile {
  int64_t refs;
  GptEnv *env;
  int fd;     /* -1: closed */
  char *data; /* NULL where size is 0 */
  size_t size;
  char path[];
} GptMappedFile;

/* Element types as files have them, little-endian. */
typedef enum GptFileDtype {
  GPT_FILE_F32,
  GPT_FILE_F16,
  GPT_FILE_BF16,
  GPT_FILE_F64,
  GPT_FILE_I64,
  GPT_FILE_DTYPES, /* how many there are */
} GptFileDtype;

/* An open file, to be closed; views of it keep the mapping for longer. NULL and a message where path is no readable
   regular file. */
GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path);
void gpt_mapped_file_close(GptMappedFile *file); /* NULL is fine */

/* "F32" */
const char *gpt_file_dtype_name(GptFileDtype dtype);

/*
 * The tensor that begins at byte `offset` of the file: f32, or i64 for I64. With `view`, aligned F32 and I64 are views
 * of the mapping, which keep it; all else is copied or converted, in parallel. The bytes must lie inside the file.
 */
GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptFileDtype dtype, int ndim,
                                  const int64_t *shape, bool view);

#endif
