/*
 * Files of one directory that are replaced together: whatever the moment of a kill and whichever call fails, all of
 * them are the old ones or all are the new ones, for whoever reads the directory through directory.h.
 *
 * Other programs do not know of the list that makes it so (journal.h). They see each file whole; while the files take
 * their names, in the order in which they were added, they may see some new ones beside old ones, and after a kill at
 * that moment until the next load or save here.
 */
#ifndef GPT_FILE_SET_H
#define GPT_FILE_SET_H

#include "core/io/file_writer.h"
#include "core/io/journal.h"

typedef struct GptFileSet {
  GptEnv *env;
  bool declared; /* the list names these files: they are no longer ours to remove */
  size_t count;
  GptFileWriter *files[GPT_MOST_SET_FILES];
  char path[];
} GptFileSet;

/* In a directory that is there. What killed saves left there is finished, or removed. */
GptFileSet *gpt_file_set_open(GptEnv *env, const char *directory);

/* Begins one more file, of a plain name. The set owns it; what is written goes to it until the next one begins. */
GptFileWriter *gpt_file_set_add(GptFileSet *set, const char *name);

/* Brings all files to the disk, under their temporary names: only now is it certain that they fit. */
bool gpt_file_set_finish(GptFileSet *set);

/* All files take their names. */
bool gpt_file_set_commit(GptFileSet *set);

/* Frees it, and removes what was not committed; NULL is fine. */
void gpt_file_set_free(GptFileSet *set);

#endif
