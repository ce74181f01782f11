#include "core/base/limits.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PATH_SIZE 1024
#define LINE_SIZE 4096
#define UNIFIED 2 /* a version of control groups */

/* The process's group for one controller. */
typedef struct Group {
  int version;          /* 1 or 2; 0: it has none */
  char path[PATH_SIZE]; /* the group's directory */
  size_t top;           /* so long is the path of the uppermost group that can be seen */
} Group;

static FILE *open_below(const char *root, const char *name) {
  char path[2 * PATH_SIZE];
  int length = snprintf(path, sizeof path, "%s%s", root, name);
  return length < (int)sizeof path ? fopen(path, "re") : NULL;
}

/* Is the word one of a list that commas separate? */
static bool names_word(const char *list, const char *word) {
  size_t length = strlen(word);
  for (const char *at = list; at != NULL; at = strchr(at, ',')) {
    if (*at == ',') at++;
    if (strncmp(at, word, length) == 0 && (at[length] == ',' || at[length] == '\0')) return true;
  }
  return false;
}

/*
 * The process's path in the controller's hierarchy, by lines as "4:cpu,cpuacct:/a/b" of /proc/self/cgroup, or in
 * version 2's, "0::/a/b", where no other has the controller. Returns the version; 0 without a group.
 */
static int find_group(const char *root, const char *controller, char *path) {
  char line[LINE_SIZE];
  int version = 0;
  FILE *in = open_below(root, "/proc/self/cgroup");
  while (in != NULL && version != 1 && fgets(line, sizeof line, in) != NULL) {
    char *list = strchr(line, ':'), *name = list != NULL ? strchr(list + 1, ':') : NULL;
    if (name == NULL) continue;
    *name++ = '\0';
    name[strcspn(name, "\n")] = '\0';
    bool unified = list[1] == '\0';
    if ((!unified && !names_word(list + 1, controller)) || strlen(name) >= PATH_SIZE) continue;
    version = unified ? UNIFIED : 1;
    memcpy(path, name, strlen(name) + 1);
  }
  if (in != NULL) fclose(in);
  return version;
}

/* Decodes "\040" and the like, as /proc writes blanks, in place. */
static void decode_octal(char *text) {
  char *to = text;
  for (const char *from = text; *from != '\0'; from++) {
    unsigned code;
    if (*from == '\\' && sscanf(from + 1, "%3o", &code) == 1) *to++ = (char)code, from += 3;
    else *to++ = *from;
  }
  *to = '\0';
}

/* A line of /proc/self/mountinfo: which directory of which hierarchy is mounted where. */
typedef struct Mount {
  char top[PATH_SIZE], point[PATH_SIZE], type[32], options[PATH_SIZE];
} Mount;

static bool read_mount(const char *line, Mount *mount) {
  const char *rest = strstr(line, " - ");
  if (rest == NULL || sscanf(line, "%*s %*s %*s %1023s %1023s", mount->top, mount->point) != 2) return false;
  if (sscanf(rest, " - %31s %*s %1023s", mount->type, mount->options) != 2) return false;
  decode_octal(mount->top);
  decode_octal(mount->point);
  return true;
}

static bool find_mount(const char *root, int version, const char *controller, Mount *mount) {
  char line[LINE_SIZE];
  bool found = false;
  FILE *in = open_below(root, "/proc/self/mountinfo");
  while (in != NULL && !found && fgets(line, sizeof line, in) != NULL) {
    if (!read_mount(line, mount)) continue;
    bool unified = strcmp(mount->type, "cgroup2") == 0;
    found = version == UNIFIED ? unified : strcmp(mount->type, "cgroup") == 0 && names_word(mount->options, controller);
  }
  if (in != NULL) fclose(in);
  return found;
}

/* A path below the mounted directory, "" for that itself; what lies outside, as seen from a container, is taken for
   the uppermost group. */
static const char *path_below(const char *path, const char *top) {
  size_t length = strcmp(top, "/") == 0 ? 0 : strlen(top);
  bool below = strncmp(path, top, length) == 0 && (path[length] == '/' || path[length] == '\0');
  if (!below || strstr(path, "/..") != NULL || strcmp(path + length, "/") == 0) return "";
  return path + length;
}

static Group find_controller(const char *root, const char *controller) {
  char path[PATH_SIZE];
  Group group = {.version = find_group(root, controller, path)};
  Mount mount;
  if (group.version == 0 || !find_mount(root, group.version, controller, &mount)) return (Group){0};
  int top = snprintf(group.path, sizeof group.path, "%s%s", root, mount.point);
  if (top >= (int)sizeof group.path) return (Group){0};
  group.top = (size_t)top;
  const char *below = path_below(path, mount.top);
  if (group.top + strlen(below) >= sizeof group.path) return (Group){0};
  memcpy(group.path + group.top, below, strlen(below) + 1);
  return group;
}

/* Goes to the group above; false at the uppermost. */
static bool ascend(Group *group) {
  char *slash = strrchr(group->path + group->top, '/');
  if (slash == NULL) return false;
  *slash = '\0';
  return true;
}

static FILE *open_in(const Group *group, const char *name) { return open_below(group->path, name); }

/* Up to two numbers at the file's beginning; returns how many there are ("max" is none). */
static int read_numbers(const Group *group, const char *name, long long numbers[2]) {
  FILE *in = open_in(group, name);
  if (in == NULL) return 0;
  int count = fscanf(in, "%lld %lld", &numbers[0], &numbers[1]);
  fclose(in);
  return count < 0 ? 0 : count;
}

/* Bytes of files in memory, which the system drops when it wants room: they count as used. */
static long long cached_files(const Group *group) {
  const char *active = group->version == UNIFIED ? "active_file" : "total_active_file";
  const char *inactive = group->version == UNIFIED ? "inactive_file" : "total_inactive_file";
  char key[64];
  long long value, sum = 0;
  FILE *in = open_in(group, "/memory.stat");
  while (in != NULL && fscanf(in, "%63s %lld", key, &value) == 2)
    if (strcmp(key, active) == 0 || strcmp(key, inactive) == 0) sum += value;
  if (in != NULL) fclose(in);
  return sum;
}

static size_t group_memory(const Group *group) {
  bool unified = group->version == UNIFIED;
  long long most[2], used[2];
  if (read_numbers(group, unified ? "/memory.max" : "/memory.limit_in_bytes", most) == 0) return SIZE_MAX;
  if (read_numbers(group, unified ? "/memory.current" : "/memory.usage_in_bytes", used) == 0) return SIZE_MAX;
  long long kept = used[0] - cached_files(group), left = most[0] - (kept > 0 ? kept : 0);
  return left > 0 ? (size_t)left : 0;
}

static int group_processors(const Group *group) {
  long long quota[2], period[2];
  if (group->version == UNIFIED) {
    if (read_numbers(group, "/cpu.max", quota) < 2) return 0;
    period[0] = quota[1];
  } else if (read_numbers(group, "/cpu.cfs_quota_us", quota) == 0 ||
             read_numbers(group, "/cpu.cfs_period_us", period) == 0) {
    return 0;
  }
  if (quota[0] <= 0 || period[0] <= 0) return 0;
  long long whole = quota[0] / period[0] + (quota[0] % period[0] != 0);
  return whole < 1 << 20 ? (int)whole : 0;
}

/* What the machine says is available. */
static size_t machine_memory(const char *root) {
  char line[128];
  unsigned long long kib;
  size_t available = SIZE_MAX;
  FILE *in = open_below(root, "/proc/meminfo");
  while (in != NULL && fgets(line, sizeof line, in) != NULL)
    if (sscanf(line, "MemAvailable: %llu", &kib) == 1) available = (size_t)kib * 1024;
  if (in != NULL) fclose(in);
  return available;
}

static size_t memory_left(const char *root, Group group) {
  size_t least = machine_memory(root);
  while (group.version != 0) {
    size_t left = group_memory(&group);
    if (left < least) least = left;
    if (!ascend(&group)) break;
  }
  return least;
}

static int fewest_processors(Group group) {
  int fewest = 0;
  while (group.version != 0) {
    int count = group_processors(&group);
    if (count > 0 && (fewest == 0 || count < fewest)) fewest = count;
    if (!ascend(&group)) break;
  }
  return fewest;
}

/* Where the group is, is found once; its numbers are read each time. */
static Group memory_group;
static pthread_once_t memory_once = PTHREAD_ONCE_INIT;
static void find_memory_group(void) { memory_group = find_controller("", "memory"); }

size_t gpt_memory_left(void) {
  pthread_once(&memory_once, find_memory_group);
  return memory_left("", memory_group);
}

int gpt_cgroup_processors(void) { return fewest_processors(find_controller("", "cpu")); }

size_t gpt_memory_left_below(const char *root) { return memory_left(root, find_controller(root, "memory")); }

int gpt_cgroup_processors_below(const char *root) { return fewest_processors(find_controller(root, "cpu")); }
