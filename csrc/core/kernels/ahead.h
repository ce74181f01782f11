/* Memory that a product of panels asks for before it is needed (GptPanelProduct's `ahead`), spread over its steps. */
#ifndef GPT_AHEAD_H
#define GPT_AHEAD_H

#include "core/base/cache_line.h"
#include "core/kernels/vector.h"
#include "core/kernels/weights.h"

typedef struct Ahead {
  const char *next;
  int64_t wait, every; /* steps: until it asks again, and from one time to the next */
} Ahead;

INLINE Ahead ahead_of(const GptPanelProduct *o) {
  return (Ahead){o->ahead, o->ahead != NULL ? 1 : INT64_MAX, o->ahead_every};
}

/* A step of so many bytes, which are few lines. Few rows need a line so soon that it had better come all the way. */
INLINE void ask_ahead(Ahead *ahead, const int bytes, const int M) {
  if (--ahead->wait > 0) return;
  UNROLL for (int i = 0; i < 16; i++) {
    if (i * GPT_CACHE_LINE >= bytes) break;
    if (M <= GPT_VERY_FEW_ROWS) __builtin_prefetch(ahead->next + i * GPT_CACHE_LINE, 0, 3);
    else __builtin_prefetch(ahead->next + i * GPT_CACHE_LINE, 0, 2);
  }
  ahead->next += bytes;
  ahead->wait = ahead->every;
}

#endif
