/* The other end of bench/system.lua, as bench/talk.lua is in Lua. */
#ifndef BENCH_TALK_H
#define BENCH_TALK_H

#include <stdio.h>
#include <string.h>

typedef struct TalkRequest {
  const char *name;
  double (*measure)(const char *arguments); /* negative: that cannot be measured */
} TalkRequest;

static inline void talk_tell(const TalkRequest *requests, const char *line) {
  for (; requests->name != NULL; requests++) {
    size_t length = strlen(requests->name);
    if (strncmp(line, requests->name, length) != 0 || (unsigned char)line[length] > ' ') continue;
    double value = requests->measure(line + length);
    if (value >= 0) printf("%.9g\n", value);
    else printf("none this is too large\n");
    return;
  }
  printf("none there is no such request\n");
}

static inline int talk(const TalkRequest *requests) {
  static char line[4096];
  printf("ready\n");
  for (;;) {
    fflush(stdout);
    if (fgets(line, sizeof line, stdin) == NULL) return 0;
    talk_tell(requests, line);
  }
}

#endif
