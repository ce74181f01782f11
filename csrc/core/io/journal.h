/*
 * The list of a save of several files. All of them lie in full under their temporary names when it appears, by one
 * rename, and from then on they are the directory's content: whoever finds the list puts them into place, or reads
 * them where they are. So a directory is one save or the other at every moment.
 *
 * It is a text in the directory, `.gpt-save`: a first line that tells what it is, a line "TAG NAME" for each file, and
 * a last one, "end". A name is one of the directory itself, and a file is renamed only from the temporary name that
 * belongs to it: a list from elsewhere reaches nothing else.
 */
#ifndef GPT_JOURNAL_H
#define GPT_JOURNAL_H

#include "core/io/temporary.h"

#define GPT_MOST_SET_FILES 16
#define GPT_SET_NAME_SIZE 128

typedef struct GptJournalEntry {
  char tag[GPT_TAG_SIZE];
  char name[GPT_SET_NAME_SIZE];
} GptJournalEntry;

typedef struct GptJournal {
  size_t count; /* 0: no list is there */
  GptJournalEntry entries[GPT_MOST_SET_FILES];
} GptJournal;

/* Letters, digits, '.', '_' and '-', none of them a leading '.'. */
bool gpt_journal_takes(const char *name);

/* What stands in the directory. False and a message where something of that name is no list. */
bool gpt_journal_read(GptEnv *env, const char *directory, GptJournal *journal);

bool gpt_journal_write(GptEnv *env, const char *directory, const GptJournal *journal);

/* Removes the list; whether it is gone, for certain. */
bool gpt_journal_take_back(GptEnv *env, const char *directory);

/* Where an entry's bytes are now: its temporary, or the file of that name. The caller frees it. */
char *gpt_journal_find(GptEnv *env, const char *directory, const GptJournalEntry *entry);

/* Puts all files into place, in their order, then removes the list. `placed` counts those that have their names now.
   The directory is locked. */
bool gpt_journal_finish(GptEnv *env, const char *directory, const GptJournal *journal, size_t *placed);

#endif
