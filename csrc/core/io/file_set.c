#include "core/io/file_set.h"

#include <errno.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/io/directory.h"
#include "core/io/paths.h"
#include "core/io/system.h"

static bool tidy(GptEnv *env, const char *path) {
  GptDirectory *directory = gpt_directory_write(env, path);
  if (directory == NULL) return false;
  gpt_temporary_sweep(env, path, NULL);
  gpt_directory_close(directory);
  return true;
}

GptFileSet *gpt_file_set_open(GptEnv *env, const char *directory) {
  size_t length = strlen(directory) + 1;
  GptFileSet *set = gpt_alloc_zeroed(env, sizeof *set + length);
  if (set == NULL) return NULL;
  set->env = env;
  memcpy(set->path, directory, length);
  while (--length > 1 && set->path[length - 1] == '/') set->path[length - 1] = '\0';
  if (tidy(env, set->path)) return set;
  gpt_file_set_free(set);
  return NULL;
}

/* A link may lead to another directory, where killed saves left what is swept there. */
static GptFileWriter *begin_in_set(GptFileSet *set, const char *path) {
  GptEnv *env = set->env;
  if (!gpt_file_writer_check(env, path)) return NULL;
  char *target = gpt_path_follow(env, path);
  if (target == NULL) return NULL;
  bool good = strcmp(target, path) == 0 || gpt_directory_tidy(env, path);
  gpt_free(env, target);
  return good ? gpt_file_writer_begin(env, path) : NULL;
}

GptFileWriter *gpt_file_set_add(GptFileSet *set, const char *name) {
  GptEnv *env = set->env;
  if (set->count == GPT_MOST_SET_FILES || !gpt_journal_takes(name))
    return gpt_fail_null(env, "%s: no file that can be saved with others", name);
  char *path = gpt_path_join(env, set->path, name);
  GptFileWriter *file = path != NULL ? begin_in_set(set, path) : NULL;
  gpt_free(env, path);
  if (file != NULL) set->files[set->count++] = file;
  return file;
}

bool gpt_file_set_finish(GptFileSet *set) {
  for (size_t i = 0; i < set->count; i++)
    if (!gpt_file_writer_finish(set->files[i])) return false;
  return true;
}

/* Every name could be taken, and the temporaries' own names are on the disk. */
static bool prepare(GptFileSet *set) {
  if (!gpt_file_set_finish(set)) return false;
  for (size_t i = 0; i < set->count; i++)
    if (!gpt_file_writer_check(set->env, set->files[i]->path)) return false;
  for (size_t i = 0; i < set->count; i++) {
    bool again = i > 0 && strcmp(set->files[i]->place, set->files[i - 1]->place) == 0;
    if (!again && !gpt_file_writer_sync_place(set->files[i])) return false;
  }
  return true;
}

static void list_files(const GptFileSet *set, GptJournal *journal) {
  memset(journal, 0, sizeof *journal);
  for (size_t i = 0; i < set->count; i++) {
    GptJournalEntry *entry = &journal->entries[journal->count++];
    memcpy(entry->tag, set->files[i]->tag, sizeof entry->tag);
    strcpy(entry->name, gpt_path_name(set->files[i]->path));
  }
}

/* From the list on, the new files are the directory's content. Where not one of them can take its name, the list goes
   again, and all is as it was. */
static bool replace_files(GptFileSet *set) {
  GptJournal journal;
  size_t placed = 0;
  list_files(set, &journal);
  set->declared = true;
  if (gpt_journal_write(set->env, set->path, &journal) && gpt_journal_finish(set->env, set->path, &journal, &placed))
    return true;
  if (placed == 0) set->declared = !gpt_journal_take_back(set->env, set->path);
  return false;
}

bool gpt_file_set_commit(GptFileSet *set) {
  GptDirectory *directory = gpt_directory_write(set->env, set->path);
  bool done = directory != NULL && prepare(set) && replace_files(set);
  gpt_directory_close(directory);
  return done;
}

void gpt_file_set_free(GptFileSet *set) {
  if (set == NULL) return;
  for (size_t i = 0; i < set->count; i++) {
    set->files[i]->exists = set->files[i]->exists && !set->declared;
    gpt_file_writer_free(set->files[i]);
  }
  gpt_free(set->env, set);
}
