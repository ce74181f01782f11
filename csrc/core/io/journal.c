#include "core/io/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/io/file_writer.h"
#include "core/io/files.h"
#include "core/io/paths.h"
#include "core/io/system.h"

#define FILE_NAME ".gpt-save"
#define FIRST_LINE "luagpt: these files are the content of this directory\n"
#define LAST_LINE "end\n"
#define MOST_BYTES 8192

bool gpt_journal_takes(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strspn(name, allowed);
  return length > 0 && length < GPT_SET_NAME_SIZE && name[length] == '\0' && name[0] != '.';
}

/* One line, "TAG NAME"; returns what follows, or NULL. */
static const char *read_entry(const char *at, GptJournalEntry *entry) {
  const char *end = strchr(at, '\n');
  if (end == NULL || !gpt_temporary_is_tag(at) || at[GPT_TAG_DIGITS] != ' ') return NULL;
  const char *name = at + GPT_TAG_DIGITS + 1;
  if (end - name >= GPT_SET_NAME_SIZE) return NULL;
  memcpy(entry->tag, at, GPT_TAG_DIGITS);
  memcpy(entry->name, name, (size_t)(end - name));
  return gpt_journal_takes(entry->name) ? end + 1 : NULL;
}

static bool parse(const char *text, size_t size, GptJournal *journal) {
  size_t first = strlen(FIRST_LINE);
  if (strlen(text) != size || strncmp(text, FIRST_LINE, first) != 0) return false;
  const char *at = text + first;
  while (at != NULL && strcmp(at, LAST_LINE) != 0 && journal->count < GPT_MOST_SET_FILES)
    at = read_entry(at, &journal->entries[journal->count++]);
  return at != NULL && strcmp(at, LAST_LINE) == 0 && journal->count > 0;
}

/* Whether anything has that name, be it a link to nowhere. False and a message where that cannot be told. */
static bool look_for_name(GptEnv *env, const char *path, bool *there) {
  struct stat about;
  *there = gpt_system_lstat(env, path, &about);
  return *there || gpt_file_missing(errno) || gpt_fail(env, "%s: %s", path, strerror(errno));
}

/* Removes a file that may be gone already. errno is of the removal. */
static bool remove_listed(GptEnv *env, const char *path) {
  return gpt_system_unlink(env, path) || errno == ENOENT;
}

bool gpt_journal_read(GptEnv *env, const char *directory, GptJournal *journal) {
  size_t size;
  memset(journal, 0, sizeof *journal);
  bool there = false;
  char *path = gpt_path_join(env, directory, FILE_NAME);
  bool seen = path != NULL && look_for_name(env, path, &there);
  if (!there) return gpt_free(env, path), seen;
  char *text = gpt_file_read(env, path, MOST_BYTES, &size);
  bool good = text != NULL && parse(text, size, journal);
  if (text != NULL && !good)
    gpt_fail(env, "%s: not the list of files that a save leaves there when it is interrupted; move it away", path);
  gpt_free(env, text);
  gpt_free(env, path);
  return good;
}

static bool write_text(GptFileWriter *file, const GptText *text) {
  return !text->failed && gpt_file_writer_write(file, text->data, text->length) && gpt_file_writer_finish(file) &&
         gpt_file_writer_place(file);
}

bool gpt_journal_write(GptEnv *env, const char *directory, const GptJournal *journal) {
  GptText text;
  gpt_text_init(&text, env);
  gpt_text_add(&text, FIRST_LINE);
  for (size_t i = 0; i < journal->count; i++)
    gpt_text_add(&text, "%s %s\n", journal->entries[i].tag, journal->entries[i].name);
  gpt_text_add(&text, LAST_LINE);
  char *path = gpt_path_join(env, directory, FILE_NAME);
  GptFileWriter *file = path != NULL ? gpt_file_writer_begin(env, path) : NULL;
  bool done = file != NULL && write_text(file, &text);
  gpt_file_writer_free(file);
  gpt_free(env, path);
  gpt_text_free(&text);
  return done;
}

bool gpt_journal_take_back(GptEnv *env, const char *directory) {
  char *path = gpt_path_join(env, directory, FILE_NAME);
  if (path == NULL) return false;
  bool gone = remove_listed(env, path);
  gpt_free(env, path);
  return gone;
}

/* Brings a directory's names to the disk. */
static bool sync_directory(GptEnv *env, const char *directory) {
  int fd = gpt_system_open(env, directory, O_RDONLY | O_DIRECTORY, 0);
  bool done = fd >= 0 && gpt_system_sync(env, fd, directory);
  if (!done) gpt_fail(env, "%s: could not be brought to the disk: %s", directory, strerror(errno));
  if (fd >= 0) close(fd);
  return done;
}

/* An entry's file and its temporary; both are freed by the caller, whatever is returned. */
static bool find_paths(GptEnv *env, const char *directory, const GptJournalEntry *entry, char **target,
                       char **temporary) {
  char *path = gpt_path_join(env, directory, entry->name);
  *target = path != NULL ? gpt_path_follow(env, path) : NULL;
  *temporary = *target != NULL ? gpt_temporary_path(env, *target, entry->name, entry->tag) : NULL;
  gpt_free(env, path);
  return *temporary != NULL;
}

char *gpt_journal_find(GptEnv *env, const char *directory, const GptJournalEntry *entry) {
  char *target, *temporary;
  bool there = false;
  bool found = find_paths(env, directory, entry, &target, &temporary) && look_for_name(env, temporary, &there);
  if (!found || there) gpt_free(env, target);
  if (!found || !there) gpt_free(env, temporary);
  return found ? there ? temporary : target : NULL;
}

/* Where links lead is another directory, which has to reach the disk too. */
static bool sync_beside(GptEnv *env, const char *target, const char *directory) {
  char *place = gpt_path_directory(env, target);
  bool done = place != NULL && (strcmp(place, directory) == 0 || sync_directory(env, place));
  gpt_free(env, place);
  return done;
}

static bool fail_to_place(GptEnv *env, const char *directory, const char *name) {
  return gpt_fail(env,
                  "%s: the files that were saved are whole, but %s could not take its name: %s; gpt.load reads the new "
                  "ones, and the next load or save there tries again",
                  directory, name, strerror(errno));
}

/* No temporary: the file has its name already. */
static bool place(GptEnv *env, const char *directory, const GptJournalEntry *entry) {
  char *target, *temporary;
  bool there = false;
  bool done = find_paths(env, directory, entry, &target, &temporary) && look_for_name(env, temporary, &there);
  if (there)
    done = gpt_system_rename(env, temporary, target) || fail_to_place(env, directory, entry->name);
  gpt_free(env, temporary);
  gpt_free(env, target);
  return done;
}

static bool place_all(GptEnv *env, const char *directory, const GptJournal *journal, size_t *placed) {
  while (*placed < journal->count && place(env, directory, &journal->entries[*placed])) ++*placed;
  return *placed == journal->count;
}

static bool sync_all(GptEnv *env, const char *directory, const GptJournal *journal) {
  bool done = true;
  for (size_t i = 0; done && i < journal->count; i++) {
    char *target, *temporary;
    done = find_paths(env, directory, &journal->entries[i], &target, &temporary) &&
           sync_beside(env, target, directory);
    gpt_free(env, temporary);
    gpt_free(env, target);
  }
  return done && sync_directory(env, directory);
}

/* The files have their names: the list is no longer needed. */
static bool remove_list(GptEnv *env, const char *directory) {
  char *path = gpt_path_join(env, directory, FILE_NAME);
  if (path == NULL) return false;
  bool gone = remove_listed(env, path);
  if (!gone)
    gpt_fail(env, "%s: all files have their names, but %s could not be removed: %s", directory, FILE_NAME,
             strerror(errno));
  gpt_free(env, path);
  return gone;
}

/* With some in place there is no way back, so a rename that failed is tried once more. */
bool gpt_journal_finish(GptEnv *env, const char *directory, const GptJournal *journal, size_t *placed) {
  *placed = 0;
  bool all = place_all(env, directory, journal, placed);
  if (!all && *placed > 0) all = place_all(env, directory, journal, placed);
  if (!all || !sync_all(env, directory, journal)) return false;
  return remove_list(env, directory) && sync_directory(env, directory);
}
