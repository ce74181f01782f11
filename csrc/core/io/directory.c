#include "core/io/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/io/files.h"
#include "core/io/paths.h"
#include "core/io/system.h"

static GptDirectory *open_directory(GptEnv *env, const char *path) {
  size_t length = strlen(path) + 1;
  GptDirectory *directory = gpt_alloc_zeroed(env, sizeof *directory + length);
  if (directory == NULL) return NULL;
  directory->env = env;
  memcpy(directory->path, path, length);
  directory->fd = gpt_system_open(env, path, O_RDONLY | O_DIRECTORY, 0);
  if (directory->fd >= 0 || errno == EACCES || gpt_file_missing(errno)) return directory;
  gpt_fail(env, "%s: %s", path, strerror(errno));
  gpt_free(env, directory);
  return NULL;
}

void gpt_directory_close(GptDirectory *directory) {
  if (directory == NULL) return;
  if (directory->fd >= 0) close(directory->fd);
  gpt_free(directory->env, directory->found);
  gpt_free(directory->env, directory);
}

static bool lock(GptDirectory *directory, bool exclusive) {
  if (directory->fd < 0) return true;
  if (gpt_system_lock(directory->env, directory->fd, directory->path, exclusive)) return true;
  return gpt_fail(directory->env, "%s: another process has been %s there for %d seconds", directory->path,
                  exclusive ? "reading or saving" : "saving", GPT_LOCK_SECONDS);
}

static bool read_journal(GptDirectory *directory) {
  return gpt_journal_read(directory->env, directory->path, &directory->journal);
}

static bool finish_journal(GptDirectory *directory) {
  size_t placed;
  if (!read_journal(directory)) return false;
  if (directory->journal.count == 0) return true;
  return gpt_journal_finish(directory->env, directory->path, &directory->journal, &placed);
}

/* A reader finishes what it may. Who must not write there reads all the same. */
static bool finish_if_possible(GptDirectory *directory) {
  if (gpt_system_try_lock(directory->env, directory->fd)) finish_journal(directory);
  return lock(directory, false) && read_journal(directory);
}

GptDirectory *gpt_directory_read(GptEnv *env, const char *path) {
  GptDirectory *directory = open_directory(env, path);
  if (directory == NULL) return NULL;
  bool good = lock(directory, false) && read_journal(directory);
  if (good && directory->journal.count > 0 && directory->fd >= 0) good = finish_if_possible(directory);
  if (good) return directory;
  gpt_directory_close(directory);
  return NULL;
}

GptDirectory *gpt_directory_write(GptEnv *env, const char *path) {
  GptDirectory *directory = open_directory(env, path);
  if (directory == NULL) return NULL;
  if (lock(directory, true) && finish_journal(directory)) return directory;
  gpt_directory_close(directory);
  return NULL;
}

GptDirectory *gpt_directory_write_beside(GptEnv *env, const char *file) {
  char *path = gpt_path_directory(env, file);
  GptDirectory *directory = path != NULL ? gpt_directory_write(env, path) : NULL;
  gpt_free(env, path);
  return directory;
}

static char *find_file(const GptDirectory *directory, const char *name) {
  const GptJournal *journal = &directory->journal;
  for (size_t i = 0; i < journal->count; i++)
    if (strcmp(journal->entries[i].name, name) == 0)
      return gpt_journal_find(directory->env, directory->path, &journal->entries[i]);
  return gpt_path_join(directory->env, directory->path, name);
}

const char *gpt_directory_path(GptDirectory *directory, const char *name) {
  gpt_free(directory->env, directory->found);
  return directory->found = find_file(directory, name);
}

/* Where a link leads, in another directory. */
static bool tidy_target(GptEnv *env, const char *path, const char *target, const char *name) {
  char *here = gpt_path_directory(env, path), *there = gpt_path_directory(env, target);
  bool done = here != NULL && there != NULL;
  if (done && strcmp(here, there) != 0) {
    GptDirectory *directory = gpt_directory_write(env, there);
    done = directory != NULL;
    if (done) gpt_temporary_sweep(env, there, name);
    gpt_directory_close(directory);
  }
  gpt_free(env, here);
  gpt_free(env, there);
  return done;
}

bool gpt_directory_tidy(GptEnv *env, const char *file) {
  GptDirectory *directory = gpt_directory_write_beside(env, file);
  if (directory == NULL) return false;
  gpt_temporary_sweep(env, directory->path, gpt_path_name(file));
  char *target = gpt_path_follow(env, file);
  bool done = target != NULL && tidy_target(env, file, target, gpt_path_name(file));
  gpt_free(env, target);
  gpt_directory_close(directory);
  return done;
}

/* The new name reaches the disk with the directory above. */
static bool sync_above(GptEnv *env, const char *path) {
  char *above = gpt_path_directory(env, path);
  int fd = above != NULL ? gpt_system_open(env, above, O_RDONLY | O_DIRECTORY, 0) : -1;
  bool done = above != NULL && ((fd < 0 && errno == EACCES) || (fd >= 0 && gpt_system_sync(env, fd, above)));
  if (fd >= 0) close(fd);
  gpt_free(env, above);
  return done;
}

static bool make_one(GptEnv *env, const char *path, bool *made) {
  struct stat about;
  *made = gpt_system_mkdir(env, path);
  if (*made) return sync_above(env, path) || (gpt_system_rmdir(env, path), *made = false);
  int reason = errno;
  if (gpt_system_stat(env, path, &about) && S_ISDIR(about.st_mode)) return true;
  errno = reason;
  return false;
}

/* mkdir -p; path is changed on the way and whole again at the end. */
static bool make_parents(GptEnv *env, char *path) {
  bool good = true, made;
  for (char *at = path[0] != '\0' ? strchr(path + 1, '/') : NULL; good && at != NULL; at = strchr(at + 1, '/')) {
    *at = '\0';
    good = make_one(env, path, &made);
    if (!good && errno == EEXIST) errno = ENOTDIR; /* a file, where a directory should be */
    *at = '/';
  }
  return good;
}

bool gpt_directory_make(GptEnv *env, const char *path, bool parents, bool *made) {
  char *copy = gpt_alloc(env, strlen(path) + 1);
  if (copy == NULL) return false;
  size_t length = strlen(strcpy(copy, path));
  while (length > 1 && copy[length - 1] == '/') copy[--length] = '\0';
  env->passing = false;
  bool good = (!parents || make_parents(env, copy)) && make_one(env, copy, made);
  if (!good && !env->passing) /* without memory that is said already */
    gpt_fail(env, "%s: cannot be made a directory: %s", path, strerror(errno));
  gpt_free(env, copy);
  return good;
}
