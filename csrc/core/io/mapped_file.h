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

/* A dtype that files alone have: 64-bit floats, which become f32. */
#define GPT_FILE_F64 GPT_DTYPES

/* An open file, to be closed; views of it keep the mapping for longer. NULL and a message where path is no readable
   regular file. */
GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path);
void gpt_mapped_file_close(GptMappedFile *file); /* NULL is fine */

/*
 * The tensor of that dtype (a GptDtype, or GPT_FILE_F64) that begins at byte `offset` of the file. With `view`, one
 * that lies aligned is a view of the mapping, which keeps it; all else is copied, in parallel. The bytes must lie
 * inside the file.
 */
GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, GptDtype dtype, int ndim,
                                  const int64_t *shape, bool view);

#endif
