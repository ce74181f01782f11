/*
 * Files that appear whole or not at all: bytes go to a temporary file beside the wanted one, and only a commit, after
 * everything has reached the disk, renames it into place. Whatever happens before, a kill included, leaves the old file
 * as it was.
 */
#ifndef GPT_FILE_WRITER_H
#define GPT_FILE_WRITER_H

#include "core/tensor/tensor.h"

typedef struct GptFileWriter GptFileWriter;

/* Creates the temporary file, named ".NAME.gpt-..." and with the usual permissions. NULL and a message on failure. */
GptFileWriter *gpt_file_writer_open(GptEnv *env, const char *path);

/* Appends. After a failure the file can only be freed. */
bool gpt_file_writer_write(GptFileWriter *file, const void *bytes, size_t size);

/* Appends a tensor's elements in the order of its shape, whatever its strides, with little memory of its own. */
bool gpt_file_writer_write_tensor(GptFileWriter *file, const GptTensor *tensor);

/* Brings the bytes to the disk and closes; only now is it certain that they all fit. */
bool gpt_file_writer_finish(GptFileWriter *file);

/* Renames a finished file into place, and brings that to the disk. */
bool gpt_file_writer_commit(GptFileWriter *file);

/* Frees it, and removes what was not committed; NULL is fine. */
void gpt_file_writer_free(GptFileWriter *file);

/* Removes what writers that were killed left in a directory. Only for one that nobody else is writing to. */
void gpt_file_writer_sweep(const char *directory);

#endif
