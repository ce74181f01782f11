#include "core/io/temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "core/base/memory.h"
#include "core/io/paths.h"
#include "core/io/system.h"

#define MARK ".gpt-"
#define PID_DIGITS 8
#define LONGEST_NAME 200 /* of NAME in a temporary's name, so that it fits where NAME does */

void gpt_temporary_tag(char *tag) {
  uint64_t random;
  struct timespec now;
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    random = (uint64_t)now.tv_sec << 32 ^ (uint64_t)now.tv_nsec;
  }
  snprintf(tag, GPT_TAG_SIZE, "%08x%016llx", (unsigned)getpid(), (unsigned long long)random);
}

bool gpt_temporary_is_tag(const char *text) { return strspn(text, "0123456789abcdef") == GPT_TAG_DIGITS; }

char *gpt_temporary_path(GptEnv *env, const char *target, const char *name, const char *tag) {
  size_t directory = (size_t)(gpt_path_name(target) - target);
  size_t size = directory + LONGEST_NAME + sizeof "." MARK + GPT_TAG_SIZE;
  char *path = gpt_alloc(env, size);
  if (path != NULL)
    snprintf(path, size, "%.*s.%.*s" MARK "%s", (int)directory, target, LONGEST_NAME, name, tag);
  return path;
}

/* Whether an entry of a directory is a temporary, of that name or of any. */
static bool is_temporary(const char *entry, const char *name) {
  size_t length = strlen(entry), tail = strlen(MARK) + GPT_TAG_DIGITS;
  if (entry[0] != '.' || length < tail + 2) return false;
  const char *mark = entry + length - tail;
  if (strncmp(mark, MARK, strlen(MARK)) != 0 || !gpt_temporary_is_tag(mark + strlen(MARK))) return false;
  size_t own = (size_t)(mark - entry) - 1;
  return name == NULL || (strlen(name) >= own && strncmp(entry + 1, name, own) == 0 &&
                          (name[own] == '\0' || own == LONGEST_NAME));
}

static bool process_lives(const char *entry) {
  char digits[PID_DIGITS + 1] = "";
  memcpy(digits, entry + strlen(entry) - GPT_TAG_DIGITS, PID_DIGITS);
  return kill((pid_t)strtoul(digits, NULL, 16), 0) == 0 || errno != ESRCH;
}

/* Whether nobody writes to it: the lock is free or, where there are no locks, the process is gone. */
static bool is_left_over(GptEnv *env, const char *entry, int file) {
  struct stat about;
  if (!gpt_system_fstat(env, file, &about) || !S_ISREG(about.st_mode)) return false;
  if (gpt_system_try_lock(env, file)) return true;
  return errno != EWOULDBLOCK && !process_lives(entry);
}

static void sweep_one(GptEnv *env, const char *directory, const char *entry) {
  char *path = gpt_path_join(env, directory, entry);
  if (path == NULL) return;
  int file = gpt_system_open(env, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0);
  if (file >= 0) {
    if (is_left_over(env, entry, file)) gpt_system_unlink(env, path);
    close(file);
  }
  gpt_free(env, path);
}

void gpt_temporary_sweep(GptEnv *env, const char *directory, const char *name) {
  const struct dirent *entry;
  DIR *all = gpt_system_list(env, directory);
  if (all == NULL) return;
  while ((entry = readdir(all)) != NULL)
    if (is_temporary(entry->d_name, name)) sweep_one(env, directory, entry->d_name);
  closedir(all);
}
