/*
 * Where a text has led to in a grammar: the set of ways to go on, each a state and the rules to return to behind it.
 *
 * Sets are made once and have numbers, and so has what a byte leads to from each: a grammar becomes a deterministic
 * automaton as far as it is used. The rules to return to are lists that share their tails and have numbers too.
 */
#ifndef GPT_GRAMMAR_WAYS_H
#define GPT_GRAMMAR_WAYS_H

#include "core/base/hash.h"
#include "core/generate/grammar_parts.h"

#define GPT_MOST_WAYS 20000        /* of a set */
#define GPT_MOST_FOLLOWED 4000000  /* edges that are looked at to make a set: tens of milliseconds */
#define GPT_MOST_WORK 100000000    /* since gpt_ways_rest: edges looked at, and ways found, each of which counts as several */
#define GPT_KEPT_BYTES ((size_t)16 << 20)

#define GPT_POINT_NONE (-1)   /* no text goes on here */
#define GPT_POINT_FAILED (-2) /* an error: see the environment */

typedef struct GptWay {
  uint32_t state; /* one that takes bytes */
  uint32_t stack; /* number of a list of states to return to; 0: the empty one */
} GptWay;

/* An item of such a list; the others follow. Of a repetition, which has gone through its rule `count` times behind this: the
   number of its edge in place of a state. */
typedef struct GptReturn {
  uint32_t state, rest;
  uint32_t count; /* 0: no repetition */
} GptReturn;

/* A set of ways. */
typedef struct GptPoint {
  size_t first;     /* of its ways */
  uint32_t count;
  bool can_end;     /* the text so far is whole */
  int16_t only;     /* the only byte that goes on; -1: there are others, or the text may end; -2: not looked at */
  int64_t allowed;  /* tokens in the mask */
  uint64_t *mask;   /* a bit for every id whose bytes go on; NULL: not made */
} GptPoint;

/* What is known of a grammar; gpt_ways_free and gpt_ways_init again forget it. */
typedef struct GptWays {
  const GptGrammar *grammar;
  GptEnv *env;
  GptWay *ways; /* of all points */
  size_t way_count, way_room;
  GptPoint *points;
  size_t point_count, point_room;
  int32_t *next; /* [points, classes]: the point behind a byte of a class, GPT_POINT_NONE, or -3: not looked at */
  size_t next_room;
  GptReturn *returns; /* [0] is the empty list */
  size_t return_count, return_room;
  GptHashKey key;
  uint32_t *point_slots, *return_slots; /* hash tables: a number + 1, or 0 */
  size_t point_slot_count, return_slot_count;
  size_t mask_count, mask_size; /* how many points have one, and its bytes: the matcher's */
  size_t most_bytes; /* see gpt_ways_full; GPT_KEPT_BYTES at first */
  size_t kept_bytes; /* what there was to keep when it forgot the last time */
  /* the set that is being made: */
  GptWay *found;
  size_t found_count, found_room;
  uint32_t *found_slots;
  size_t found_slot_count;
  GptWay *sorted; /* those of them that take bytes */
  size_t sorted_room;
  size_t followed; /* edges looked at for it */
  size_t work;     /* since gpt_ways_rest */
} GptWays;

bool gpt_ways_init(GptWays *ways, GptEnv *env, const GptGrammar *grammar);
void gpt_ways_free(GptWays *ways);
size_t gpt_ways_bytes(const GptWays *ways); /* that it holds */

/* Begins to count the work anew. Past GPT_MOST_WORK is an error: a grammar that leaves so much open that a token would
   take long. */
static inline void gpt_ways_rest(GptWays *ways) { ways->work = 0; }

/* It has learned much: more than most_bytes, and as much again as it had to keep when it forgot the last time. */
bool gpt_ways_full(const GptWays *ways);

/* Forgets all but these points [count], which get new numbers. False and a message on failure: nothing has changed. */
bool gpt_ways_forget(GptWays *ways, int32_t *points, size_t count);

/* The point at which a text begins, and that behind a byte (GPT_POINT_NONE where it does not go on); or
   GPT_POINT_FAILED. */
int32_t gpt_ways_begin(GptWays *ways);
int32_t gpt_ways_step_slowly(GptWays *ways, int32_t point, int class);

/* The same as a byte of that class leads to. */
static inline int32_t gpt_ways_step(GptWays *ways, int32_t point, int class) {
  int32_t next = ways->next[(size_t)point * (size_t)ways->grammar->class_count + (size_t)class];
  return next >= GPT_POINT_NONE ? next : gpt_ways_step_slowly(ways, point, class);
}

/* The only byte that goes on from there where the text cannot end there; -1 where there is a choice; GPT_POINT_FAILED. */
int gpt_ways_only(GptWays *ways, int32_t point);

/* The text is whole, and nothing can follow. */
static inline bool gpt_ways_complete(const GptWays *ways, int32_t point) {
  return ways->points[point].can_end && ways->points[point].count == 0;
}

#endif
