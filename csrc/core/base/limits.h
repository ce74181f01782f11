/*
 * What the process may use: the memory that is left and the processors, by the machine's word and by that of the
 * process's own control groups (versions 1 and 2), where every group above it counts too.
 */
#ifndef GPT_LIMITS_H
#define GPT_LIMITS_H

#include <stddef.h>

/* The bytes that can still be had; SIZE_MAX where nobody says. */
size_t gpt_memory_left(void);

/* The processors that the groups grant, a part of one counted as one; 0 where they set no limit. */
int gpt_cgroup_processors(void);

/* The same where the files of /proc and /sys lie below the directory root, read anew: for the specs. */
size_t gpt_memory_left_below(const char *root);
int gpt_cgroup_processors_below(const char *root);

#endif
