/*
 * Every file that luagpt writes is written here, and appears whole or not at all: bytes go to a temporary file beside
 * the wanted one, and only after they have all reached the disk a rename puts it into place. Whatever happens before,
 * a kill included, leaves the old file as it was. Files that belong together are written through file_set.h.
 *
 * A symbolic link is followed: the file that it leads to is replaced, beside which the temporary lies. An old file's
 * permissions and, as far as the system allows, its owner are kept. What is no regular file (a directory, a FIFO, a
 * socket, a device) is refused by name.
 */
#ifndef GPT_FILE_WRITER_H
#define GPT_FILE_WRITER_H

#include "core/io/temporary.h"
#include "core/tensor/tensor.h"

typedef struct GptFileWriter {
  GptEnv *env;
  int fd, directory;           /* the temporary, locked as long as it is open, and where it lies; -1: closed */
  bool exists, finished;       /* the temporary is there; its bytes are on the disk */
  char tag[GPT_TAG_SIZE];      /* of the temporary's name */
  char *path, *target, *place; /* as given; where the bytes are to lie in the end; the directory of that */
  char *temporary;             /* beside target */
} GptFileWriter;

/* False and a message where a file of that name cannot be written: not a regular one, or a circle of links. */
bool gpt_file_writer_check(GptEnv *env, const char *path);

/* Creates the temporary file. What killed saves of the same file left is removed. NULL and a message on failure. */
GptFileWriter *gpt_file_writer_open(GptEnv *env, const char *path);

/* The same for one file of a set, whose directory is in order. */
GptFileWriter *gpt_file_writer_begin(GptEnv *env, const char *path);

/* Appends. After a failure the file can only be freed. */
bool gpt_file_writer_write(GptFileWriter *file, const void *bytes, size_t size);

/* Appends a tensor's elements in the order of its shape, whatever its strides, with little memory of its own. */
bool gpt_file_writer_write_tensor(GptFileWriter *file, const GptTensor *tensor);

/* Brings the bytes to the disk; only now is it certain that they all fit. */
bool gpt_file_writer_finish(GptFileWriter *file);

/* Renames the file into place, finished before where that was not done, and brings that to the disk. */
bool gpt_file_writer_commit(GptFileWriter *file);

/* The rename and the sync of its directory alone; the sync alone. */
bool gpt_file_writer_place(GptFileWriter *file);
bool gpt_file_writer_sync_place(GptFileWriter *file);

/* Frees it, and removes what was not committed; NULL is fine. */
void gpt_file_writer_free(GptFileWriter *file);

#endif
