/* Puts inputs into files of a directory in memory, which goes when the process ends. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuzz.h"

#define MARK "==== "

static char directory[64], path[256];

static void remove_directory(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf '%s'", directory);
  if (system(command) != 0) fprintf(stderr, "fuzz: %s stays\n", directory);
}

const char *fuzz_directory(void) {
  if (directory[0] != '\0') return directory;
  snprintf(directory, sizeof directory, "%s/luagpt-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
  if (mkdtemp(directory) == NULL) perror("fuzz: mkdtemp"), exit(2);
  atexit(remove_directory);
  return directory;
}

static void path_of(const char *name) { snprintf(path, sizeof path, "%s/%s", fuzz_directory(), name); }

/* A new file each time: what an earlier one was mapped or known as is no matter of this one's. */
static void write_file(const char *name, const void *bytes, size_t size) {
  path_of(name);
  unlink(path);
  int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || write(fd, bytes, size) != (ssize_t)size) perror("fuzz: writing an input"), exit(2);
  close(fd);
}

/* The next line that begins with the mark, or the end. */
static const char *next_mark(const char *at, const char *end) {
  for (; at < end; at++) {
    if ((size_t)(end - at) >= strlen(MARK) && memcmp(at, MARK, strlen(MARK)) == 0) return at;
    at = memchr(at, '\n', (size_t)(end - at));
    if (at == NULL) return end;
  }
  return end;
}

static void write_part(const char *const *parts, const char *at, const char *end) {
  const char *line_end = memchr(at, '\n', (size_t)(end - at));
  if (line_end == NULL) return;
  size_t length = (size_t)(line_end - at) - strlen(MARK);
  for (; *parts != NULL; parts++)
    if (strlen(*parts) == length && memcmp(*parts, at + strlen(MARK), length) == 0)
      write_file(*parts, line_end + 1, (size_t)(end - line_end - 1));
}

static void write_parts(const char *const *parts, const char *at, const char *end) {
  for (const char *const *name = parts; *name != NULL; name++) path_of(*name), unlink(path);
  for (at = next_mark(at, end); at < end;) {
    const char *next = next_mark(at + strlen(MARK), end);
    write_part(parts, at, next);
    at = next;
  }
}

void fuzz_place(const FuzzTarget *target, FuzzInput *input) {
  const char *at = (const char *)input->data;
  if (target->file != NULL) {
    write_file(target->file, at, input->size);
    input->path = path;
  } else if (target->parts != NULL) {
    write_parts(target->parts, at, at + input->size);
    input->path = fuzz_directory();
  }
}
