/*
 * Files of tensors and of tokens. Headers, and whatever is copied, are read; the file is mapped into memory when the
 * first view of it is wanted. The mapping is private: whoever loads the same file shares its pages through the system,
 * and a write (an optimizer's step) touches only the writer's copy of a page. Mapped bytes are counted in
 * env->memory.mapped, not as live ones.
 *
 * A file that somebody replaces by renaming another one over it stays as it was for those who have it open. One that
 * is cut short in place raises SIGBUS at the next use of a lost page of a view, as with every mapped file; sizes are
 * checked at opening only. Where bytes are read, that is an error like any other.
 */
#ifndef GPT_MAPPED_FILE_H
#define GPT_MAPPED_FILE_H

#include "core/io/file_type.h"
#include "core/tensor/tensor.h"

typedef struct GptMappedFile {
  int64_t refs;
  GptEnv *env;
  int fd;     /* -1: closed */
  char *data; /* NULL: not mapped (yet) */
  size_t size;
  char path[];
} GptMappedFile;

/* An open file, to be closed; views of it keep the mapping for longer. NULL and a message where path is no readable
   regular file. */
GptMappedFile *gpt_mapped_file_open(GptEnv *env, const char *path);
void gpt_mapped_file_close(GptMappedFile *file); /* NULL is fine */

/* Its bytes, mapped; they stay as long as the file is open or a view of it lives. NULL and a message on failure. */
const char *gpt_mapped_file_data(GptMappedFile *file);

/* Reads bytes that lie inside the file. The message does not name it. */
bool gpt_mapped_file_read(const GptMappedFile *file, size_t offset, void *to, size_t count);

/* Whether two stretches inside files hold the same bytes; whether one holds zeros only. False: cannot be read. */
bool gpt_mapped_file_same(const GptMappedFile *a, size_t at_a, const GptMappedFile *b, size_t at_b,
                          size_t size, bool *same);
bool gpt_mapped_file_zero(const GptMappedFile *file, size_t offset, size_t size, bool *zero);

/*
 * The tensor of that type that begins at byte `offset` of the file. With `view`, one that needs no conversion and lies
 * aligned is a view of the mapping, which keeps it; all else is read, in parallel. A large one that the process has read
 * already, from a file that is the same since, shares that memory (core/tensor/shared.h). The bytes must lie inside the
 * file.
 */
GptTensor *gpt_mapped_file_tensor(GptEnv *env, GptMappedFile *file, size_t offset, const GptFileType *type, int ndim,
                                  const int64_t *shape, bool view);

#endif
