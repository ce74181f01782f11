#include "core/generate/grammar_ways.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

#define UNKNOWN (-3)
#define FIRST_SLOTS 64
#define WAY_WORK 8 /* of a new way, in edges looked at */

static uint64_t hash_pair(const GptWays *w, uint32_t a, uint32_t b) {
  return gpt_hash_number(w->key, (uint64_t)a << 32 | b);
}

static uint64_t hash_way(const GptWays *w, GptWay way) { return hash_pair(w, way.state, way.stack); }

static uint64_t hash_return(const GptWays *w, const GptReturn *r) {
  return gpt_hash_fold(hash_pair(w, r->state, r->rest) ^ r->count, w->key.factor);
}

static uint64_t hash_set(const GptWays *w, const GptWay *ways, size_t count, bool can_end) {
  uint64_t h = gpt_hash_number(w->key, (uint64_t)count << 1 | can_end);
  for (size_t i = 0; i < count; i++) h = gpt_hash_fold(h ^ hash_way(w, ways[i]), w->key.factor);
  return h;
}

/* An empty hash table with room for twice as many as the old one, which is freed. */
static uint32_t *more_slots(GptEnv *env, uint32_t *old, size_t *count) {
  size_t n = *count == 0 ? FIRST_SLOTS : *count * 2;
  uint32_t *slots = gpt_alloc_array_zeroed(env, n, sizeof *slots);
  if (slots == NULL) return NULL;
  gpt_free(env, old);
  *count = n;
  return slots;
}

static void put_slot(uint32_t *slots, size_t count, uint64_t hash, uint32_t number) {
  size_t at = hash & (count - 1);
  while (slots[at] != 0) at = (at + 1) & (count - 1);
  slots[at] = number + 1;
}

static bool grow_point_slots(GptWays *w) {
  if ((w->point_count + 1) * 2 <= w->point_slot_count) return true;
  uint32_t *slots = more_slots(w->env, w->point_slots, &w->point_slot_count);
  if (slots == NULL) return false;
  w->point_slots = slots;
  for (size_t i = 0; i < w->point_count; i++) {
    const GptPoint *p = &w->points[i];
    put_slot(slots, w->point_slot_count, hash_set(w, w->ways + p->first, p->count, p->can_end), (uint32_t)i);
  }
  return true;
}

static bool grow_return_slots(GptWays *w) {
  if ((w->return_count + 1) * 2 <= w->return_slot_count) return true;
  uint32_t *slots = more_slots(w->env, w->return_slots, &w->return_slot_count);
  if (slots == NULL) return false;
  w->return_slots = slots;
  for (size_t i = 1; i < w->return_count; i++)
    put_slot(slots, w->return_slot_count, hash_return(w, &w->returns[i]), (uint32_t)i);
  return true;
}

static bool grow_found_slots(GptWays *w) {
  if ((w->found_count + 1) * 2 <= w->found_slot_count) return true;
  uint32_t *slots = more_slots(w->env, w->found_slots, &w->found_slot_count);
  if (slots == NULL) return false;
  w->found_slots = slots;
  for (size_t i = 0; i < w->found_count; i++) put_slot(slots, w->found_slot_count, hash_way(w, w->found[i]), (uint32_t)i);
  return true;
}

/* The number of the list with that item before the rest, or -1. */
static int64_t push_return(GptWays *w, GptReturn item) {
  if (!grow_return_slots(w)) return -1;
  uint64_t hash = hash_return(w, &item);
  for (size_t at = hash & (w->return_slot_count - 1); w->return_slots[at] != 0; at = (at + 1) & (w->return_slot_count - 1)) {
    const GptReturn *known = &w->returns[w->return_slots[at] - 1];
    if (known->state == item.state && known->rest == item.rest && known->count == item.count)
      return (int64_t)w->return_slots[at] - 1;
  }
  if (!GPT_GROW(w->env, w->returns, w->return_room, w->return_count, 1)) return -1;
  w->returns[w->return_count] = item;
  put_slot(w->return_slots, w->return_slot_count, hash, (uint32_t)w->return_count);
  return (int64_t)w->return_count++;
}

static void clear_found(GptWays *w) {
  if (w->found_count * 8 > w->found_slot_count) {
    memset(w->found_slots, 0, w->found_slot_count * sizeof *w->found_slots);
  } else {
    for (size_t i = w->found_count; i-- > 0;) { /* the last ones first: none hides behind a hole */
      size_t at = hash_way(w, w->found[i]) & (w->found_slot_count - 1);
      while (w->found_slots[at] != i + 1) at = (at + 1) & (w->found_slot_count - 1);
      w->found_slots[at] = 0;
    }
  }
  w->found_count = 0;
  w->followed = 0;
}

/* Counts the edges of a state, which are to be looked at for the set that is being made. */
static bool count_edges(GptWays *w, uint32_t state) {
  const uint32_t *first = w->grammar->first;
  w->followed += first[state + 1] - first[state];
  w->work += first[state + 1] - first[state];
  if (w->work > GPT_MOST_WORK)
    return gpt_fail(w->env, "the grammar takes more than %d steps for one token: too much of it may mean the same",
                    GPT_MOST_WORK);
  if (w->followed <= GPT_MOST_FOLLOWED) return true;
  return gpt_fail(w->env, "the grammar takes more than %d steps for one byte: too much of it may mean the same",
                  GPT_MOST_FOLLOWED);
}

/* Adds a way to the set that is being made, unless it is there. */
static bool add_way(GptWays *w, uint32_t state, uint32_t stack) {
  if (!grow_found_slots(w)) return false;
  uint64_t hash = hash_way(w, (GptWay){state, stack});
  for (size_t at = hash & (w->found_slot_count - 1); w->found_slots[at] != 0; at = (at + 1) & (w->found_slot_count - 1)) {
    const GptWay *known = &w->found[w->found_slots[at] - 1];
    if (known->state == state && known->stack == stack) return true;
  }
  if (w->found_count == GPT_MOST_WAYS)
    return gpt_fail(w->env, "the grammar leaves more than %d ways open at once: too much of it may mean the same",
                    GPT_MOST_WAYS);
  if (!GPT_GROW(w->env, w->found, w->found_room, w->found_count, 1)) return false;
  w->work += WAY_WORK;
  put_slot(w->found_slots, w->found_slot_count, hash, (uint32_t)w->found_count);
  w->found[w->found_count++] = (GptWay){state, stack};
  return true;
}

static bool enter_rule(GptWays *w, const GptEdge *edge, uint32_t stack) {
  const GptGrammar *g = w->grammar;
  int64_t inner = stack;
  if (!(g->traits[edge->to] & GPT_STATE_TAIL)) inner = push_return(w, (GptReturn){edge->to, stack, 0});
  return inner >= 0 && add_way(w, g->rules[edge->rule].start, (uint32_t)inner);
}

/* Goes through the rule of a repetition for the `count`-th time. */
static bool enter_again(GptWays *w, uint32_t edge, uint32_t count, uint32_t stack) {
  const GptGrammar *g = w->grammar;
  int64_t inner = push_return(w, (GptReturn){edge, stack, count});
  return inner >= 0 && add_way(w, g->rules[gpt_edge_rule(g, &g->edges[edge])].start, (uint32_t)inner);
}

/* Behind the end of a rule: to where it was entered from, or, of a repetition, behind that and into the rule again. Where
   there may be any number, they are counted up to the least one. */
static bool leave_rule(GptWays *w, uint32_t stack) {
  const GptReturn back = w->returns[stack];
  if (back.count == 0) return add_way(w, back.state, back.rest);
  const GptEdge *edge = &w->grammar->edges[back.state];
  const GptRepeat *repeat = &w->grammar->repeats[edge->rule];
  if (back.count >= repeat->least && !add_way(w, edge->to, back.rest)) return false;
  if (back.count == repeat->most) return true;
  bool endless = repeat->most == 0 && back.count == repeat->least;
  return enter_again(w, back.state, endless ? back.count : back.count + 1, back.rest);
}

/* Follows a way as far as it takes nothing. */
static bool follow(GptWays *w, GptWay way, bool *can_end) {
  const GptGrammar *g = w->grammar;
  if (g->traits[way.state] & GPT_STATE_END) {
    if (way.stack != 0) return leave_rule(w, way.stack);
    *can_end = true;
    return true;
  }
  if (!count_edges(w, way.state)) return false;
  for (uint32_t e = g->first[way.state]; e < g->first[way.state + 1]; e++) {
    const GptEdge *edge = &g->edges[e];
    if (edge->kind == GPT_EDGE_SKIP && !add_way(w, edge->to, way.stack)) return false;
    if (edge->kind == GPT_EDGE_CALL && !enter_rule(w, edge, way.stack)) return false;
    if (edge->kind == GPT_EDGE_REPEAT && !enter_again(w, e, 1, way.stack)) return false;
  }
  return true;
}

static int compare_ways(const void *a, const void *b) {
  const GptWay *x = a, *y = b;
  if (x->state != y->state) return x->state < y->state ? -1 : 1;
  return x->stack < y->stack ? -1 : x->stack > y->stack;
}

/* The point with these ways, or -1 where there is none yet. */
static int32_t find_point(const GptWays *w, const GptWay *ways, size_t count, bool can_end, uint64_t hash) {
  for (size_t at = hash & (w->point_slot_count - 1); w->point_slots[at] != 0; at = (at + 1) & (w->point_slot_count - 1)) {
    const GptPoint *p = &w->points[w->point_slots[at] - 1];
    if (p->count == count && p->can_end == can_end &&
        (count == 0 || memcmp(w->ways + p->first, ways, count * sizeof *ways) == 0))
      return (int32_t)w->point_slots[at] - 1;
  }
  return -1;
}

static void forget_next(GptWays *w, size_t point) {
  size_t classes = (size_t)w->grammar->class_count;
  for (size_t c = 0; c < classes; c++) w->next[point * classes + c] = UNKNOWN;
}

static int32_t new_point(GptWays *w, const GptWay *ways, size_t count, bool can_end, uint64_t hash) {
  size_t classes = (size_t)w->grammar->class_count, number = w->point_count;
  if (number == INT32_MAX || !GPT_GROW(w->env, w->ways, w->way_room, w->way_count, count) ||
      !GPT_GROW(w->env, w->next, w->next_room, number * classes, classes) ||
      !GPT_GROW(w->env, w->points, w->point_room, number, 1))
    return GPT_POINT_FAILED;
  if (count > 0) memcpy(w->ways + w->way_count, ways, count * sizeof *ways); /* there may be no array yet */
  forget_next(w, number);
  w->points[number] = (GptPoint){.first = w->way_count, .count = (uint32_t)count, .can_end = can_end, .only = -2};
  w->way_count += count;
  put_slot(w->point_slots, w->point_slot_count, hash, (uint32_t)number);
  return (int32_t)w->point_count++;
}

/* Lists those of the ways found that take bytes, sorted, so that equal sets look the same; returns how many. */
static size_t sort_found(GptWays *w) {
  size_t count = 0;
  for (size_t i = 0; i < w->found_count; i++)
    if (w->grammar->traits[w->found[i].state] & GPT_STATE_TAKES) w->sorted[count++] = w->found[i];
  if (count > 1) qsort(w->sorted, count, sizeof *w->sorted, compare_ways);
  return count;
}

/* The point of the ways found. */
static int32_t intern_found(GptWays *w, bool can_end) {
  if (!grow_point_slots(w) || !GPT_GROW(w->env, w->sorted, w->sorted_room, 0, w->found_count)) return GPT_POINT_FAILED;
  size_t count = sort_found(w);
  if (count == 0 && !can_end) return GPT_POINT_NONE;
  uint64_t hash = hash_set(w, w->sorted, count, can_end);
  int32_t point = find_point(w, w->sorted, count, can_end, hash);
  return point >= 0 ? point : new_point(w, w->sorted, count, can_end, hash);
}

/* Makes a point of the ways added so far and all that they lead to without a byte. */
static int32_t close_set(GptWays *w) {
  bool can_end = false, followed = true;
  for (size_t i = 0; followed && i < w->found_count; i++) followed = follow(w, w->found[i], &can_end);
  int32_t point = followed ? intern_found(w, can_end) : GPT_POINT_FAILED;
  clear_found(w);
  return point;
}

static int32_t drop_set(GptWays *w) {
  clear_found(w);
  return GPT_POINT_FAILED;
}

bool gpt_ways_init(GptWays *ways, GptEnv *env, const GptGrammar *grammar) {
  *ways = (GptWays){.grammar = grammar, .env = env, .key = gpt_hash_key(), .most_bytes = GPT_KEPT_BYTES};
  if (!GPT_GROW(env, ways->returns, ways->return_room, 0, 1)) return false;
  ways->returns[0] = (GptReturn){0, 0, 0};
  ways->return_count = 1;
  return true;
}

void gpt_ways_free(GptWays *ways) {
  GptEnv *env = ways->env;
  for (size_t i = 0; i < ways->point_count; i++) gpt_free(env, ways->points[i].mask);
  gpt_free(env, ways->ways);
  gpt_free(env, ways->points);
  gpt_free(env, ways->next);
  gpt_free(env, ways->returns);
  gpt_free(env, ways->point_slots);
  gpt_free(env, ways->return_slots);
  gpt_free(env, ways->found);
  gpt_free(env, ways->found_slots);
  gpt_free(env, ways->sorted);
  *ways = (GptWays){.grammar = ways->grammar, .env = env};
}

size_t gpt_ways_bytes(const GptWays *w) {
  return w->way_room * sizeof *w->ways + w->point_room * sizeof *w->points + w->next_room * sizeof *w->next +
         w->return_room * sizeof *w->returns + (w->found_room + w->sorted_room) * sizeof *w->found +
         (w->point_slot_count + w->return_slot_count + w->found_slot_count) * sizeof *w->point_slots +
         w->mask_count * w->mask_size;
}

/* What it has learned takes; the arrays may have room for half of it more. */
static size_t bytes_used(const GptWays *w) {
  size_t slots = 4 * sizeof *w->point_slots; /* of each that has a number, at most */
  return w->way_count * sizeof *w->ways + w->return_count * (sizeof *w->returns + slots) +
         w->point_count * (sizeof *w->points + (size_t)w->grammar->class_count * sizeof *w->next + slots) +
         w->mask_count * w->mask_size;
}

bool gpt_ways_full(const GptWays *ways) {
  size_t bytes = bytes_used(ways);
  return bytes > ways->most_bytes && bytes / 2 > ways->kept_bytes;
}

int32_t gpt_ways_begin(GptWays *ways) {
  if (!add_way(ways, ways->grammar->rules[ways->grammar->root].start, 0)) return drop_set(ways);
  return close_set(ways);
}

int32_t gpt_ways_step_slowly(GptWays *w, int32_t point, int class) {
  const GptGrammar *g = w->grammar;
  uint8_t byte = g->sample[class];
  GptPoint p = w->points[point];
  for (size_t i = p.first; i < p.first + p.count; i++) {
    GptWay way = w->ways[i];
    if (!count_edges(w, way.state)) return drop_set(w);
    for (uint32_t e = g->first[way.state]; e < g->first[way.state + 1]; e++) {
      const GptEdge *edge = &g->edges[e];
      bool takes = edge->kind == GPT_EDGE_BYTES && byte >= edge->low && byte <= edge->high;
      if (takes && !add_way(w, edge->to, way.stack)) return drop_set(w);
    }
  }
  int32_t next = close_set(w);
  if (next != GPT_POINT_FAILED) w->next[(size_t)point * (size_t)g->class_count + (size_t)class] = next;
  return next;
}

/* returns [return_count]: 1 for the lists that points are about to need which kept [point_count] marks by 0. */
static void mark_returns(const GptWays *w, const int32_t *kept, uint32_t *returns) {
  for (size_t i = 0; i < w->point_count; i++) {
    const GptPoint *p = &w->points[i];
    for (size_t way = p->first; kept[i] == 0 && way < p->first + p->count; way++)
      for (uint32_t at = w->ways[way].stack; at != 0 && returns[at] == 0; at = w->returns[at].rest) returns[at] = 1;
  }
}

/* Moves the marked lists together; their marks become their new numbers. A rest is older than its list, and the order
   stays: sorted ways stay sorted. */
static void keep_returns(GptWays *w, uint32_t *returns) {
  size_t count = 1;
  for (size_t i = 1; i < w->return_count; i++) {
    if (returns[i] == 0) continue;
    w->returns[count] = w->returns[i];
    w->returns[count].rest = returns[w->returns[i].rest];
    returns[i] = (uint32_t)count++;
  }
  w->return_count = count;
  if (w->return_slots == NULL) return; /* nothing was ever pushed */
  memset(w->return_slots, 0, w->return_slot_count * sizeof *w->return_slots);
  for (size_t i = 1; i < count; i++)
    put_slot(w->return_slots, w->return_slot_count, hash_return(w, &w->returns[i]), (uint32_t)i);
}

/* Moves a point and its ways behind those that were moved before it. */
static void move_point(GptWays *w, size_t from, const uint32_t *returns) {
  size_t to = w->point_count++;
  GptPoint p = w->points[from];
  for (size_t i = 0; i < p.count; i++) {
    GptWay way = w->ways[p.first + i];
    w->ways[w->way_count + i] = (GptWay){way.state, returns[way.stack]};
  }
  p.first = w->way_count;
  w->way_count += p.count;
  w->points[to] = p;
  forget_next(w, to);
  put_slot(w->point_slots, w->point_slot_count, hash_set(w, w->ways + p.first, p.count, p.can_end), (uint32_t)to);
}

/* Moves the points together whose place in kept is 0, which becomes their new number. */
static void keep_points(GptWays *w, int32_t *kept, const uint32_t *returns) {
  size_t count = w->point_count;
  w->point_count = w->way_count = 0;
  memset(w->point_slots, 0, w->point_slot_count * sizeof *w->point_slots);
  for (size_t i = 0; i < count; i++) {
    if (kept[i] == 0) {
      kept[i] = (int32_t)w->point_count;
      move_point(w, i, returns);
    } else {
      w->mask_count -= w->points[i].mask != NULL;
      gpt_free(w->env, w->points[i].mask);
    }
  }
}

bool gpt_ways_forget(GptWays *ways, int32_t *points, size_t count) {
  uint32_t *returns = gpt_alloc_array_zeroed(ways->env, ways->return_count, sizeof *returns);
  int32_t *kept = gpt_alloc_array(ways->env, ways->point_count, sizeof *kept);
  bool good = returns != NULL && kept != NULL;
  if (good) {
    for (size_t i = 0; i < ways->point_count; i++) kept[i] = UNKNOWN;
    for (size_t i = 0; i < count; i++) kept[points[i]] = 0;
    mark_returns(ways, kept, returns);
    keep_returns(ways, returns);
    keep_points(ways, kept, returns);
    for (size_t i = 0; i < count; i++) points[i] = kept[points[i]];
    ways->kept_bytes = bytes_used(ways);
  }
  gpt_free(ways->env, returns);
  gpt_free(ways->env, kept);
  return good;
}

static int find_only(GptWays *w, int32_t point) {
  const GptGrammar *g = w->grammar;
  int only = -1;
  if (w->points[point].can_end) return -1;
  for (int c = 0; c < g->class_count; c++) {
    int32_t next = gpt_ways_step(w, point, c);
    if (next == GPT_POINT_FAILED) return GPT_POINT_FAILED;
    if (next == GPT_POINT_NONE) continue;
    if (only >= 0 || g->sizes[c] > 1) return -1;
    only = g->sample[c];
  }
  return only;
}

int gpt_ways_only(GptWays *ways, int32_t point) {
  int only = ways->points[point].only;
  if (only != -2) return only;
  only = find_only(ways, point);
  if (only != GPT_POINT_FAILED) ways->points[point].only = (int16_t)only;
  return only;
}
