#include "core/generate/grammar_matcher.h"

#include <math.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/generate/grammar_ways.h"

#define MANY_POINTS 16 /* so many new ones are a reason to look at what there is */

struct GptMatcher {
  GptEnv *env;
  const GptTokenTree *tree;
  GptWays ways;
  int32_t begin;      /* the point where a text begins */
  int32_t *path;      /* [longest token + 1]: the point before each byte of a token */
  size_t words;       /* of a mask */
  GptCursor *cursors; /* a list, of those that are alive */
};

struct GptCursor {
  GptEnv *env;
  GptMatcher *matcher; /* NULL: it was freed */
  GptCursor *before, *after;
  int32_t point;
  float *logits;        /* [room] */
  int64_t room;
  size_t end_count;
  int64_t ends[]; /* [end_count] */
};

void gpt_matcher_free(GptMatcher *matcher) {
  if (matcher == NULL) return;
  for (GptCursor *c = matcher->cursors; c != NULL; c = c->after) c->matcher = NULL;
  gpt_ways_free(&matcher->ways);
  gpt_free(matcher->env, matcher->path);
  gpt_free(matcher->env, matcher);
}

GptMatcher *gpt_matcher_new(GptEnv *env, const GptGrammar *grammar, const GptTokenTree *tree) {
  GptMatcher *matcher = gpt_alloc_zeroed(env, sizeof *matcher);
  if (matcher == NULL) return NULL;
  matcher->env = env;
  matcher->tree = tree;
  matcher->words = (size_t)(tree->ids + 63) / 64;
  matcher->ways = (GptWays){.env = env};
  matcher->path = gpt_alloc_array(env, tree->longest + 1, sizeof *matcher->path);
  if (matcher->path != NULL && gpt_ways_init(&matcher->ways, env, grammar)) {
    matcher->ways.mask_size = matcher->words * sizeof(uint64_t);
    matcher->begin = gpt_ways_begin(&matcher->ways);
    if (matcher->begin != GPT_POINT_FAILED) return matcher;
  }
  gpt_matcher_free(matcher);
  return NULL;
}

void gpt_matcher_keep(GptMatcher *matcher, size_t bytes) { matcher->ways.most_bytes = bytes; }

size_t gpt_matcher_bytes(const GptMatcher *matcher) { return gpt_ways_bytes(&matcher->ways); }

static void link_cursor(GptMatcher *matcher, GptCursor *cursor) {
  cursor->matcher = matcher;
  cursor->after = matcher->cursors;
  if (matcher->cursors != NULL) matcher->cursors->before = cursor;
  matcher->cursors = cursor;
}

GptCursor *gpt_cursor_new(GptMatcher *matcher, const int64_t *ends, size_t count) {
  GptCursor *cursor = gpt_alloc(matcher->env, sizeof *cursor + count * sizeof *ends);
  if (cursor == NULL) return NULL;
  *cursor = (GptCursor){.env = matcher->env, .point = matcher->begin, .end_count = count};
  memcpy(cursor->ends, ends, count * sizeof *ends);
  link_cursor(matcher, cursor);
  return cursor;
}

static void unlink_cursor(GptCursor *cursor) {
  if (cursor->before != NULL) cursor->before->after = cursor->after;
  else cursor->matcher->cursors = cursor->after;
  if (cursor->after != NULL) cursor->after->before = cursor->before;
}

void gpt_cursor_free(GptCursor *cursor) {
  if (cursor == NULL) return;
  if (cursor->matcher != NULL) unlink_cursor(cursor);
  gpt_free(cursor->env, cursor->logits);
  gpt_free(cursor->env, cursor);
}

/* The points in use, and what becomes of them. */
typedef struct Moves {
  int32_t *from, *to; /* [count] */
  size_t count;
} Moves;

static size_t count_cursors(const GptMatcher *matcher) {
  size_t count = 0;
  for (const GptCursor *c = matcher->cursors; c != NULL; c = c->after) count++;
  return count;
}

/* The beginning's, some more [count], and those that cursors stand on. Every allocation may free cursors, as garbage of
   the host's. */
static bool list_points(GptMatcher *matcher, const int32_t *points, size_t count, Moves *moves) {
  size_t room = count_cursors(matcher) + 1 + count;
  moves->from = gpt_alloc_array(matcher->env, room, sizeof *moves->from);
  moves->to = gpt_alloc_array(matcher->env, room, sizeof *moves->to);
  if (moves->from == NULL || moves->to == NULL) return false;
  moves->from[moves->count++] = matcher->begin;
  for (size_t i = 0; i < count; i++) moves->from[moves->count++] = points[i];
  for (const GptCursor *c = matcher->cursors; c != NULL; c = c->after) moves->from[moves->count++] = c->point;
  memcpy(moves->to, moves->from, moves->count * sizeof *moves->to);
  return true;
}

static void move_cursors(GptMatcher *matcher, const Moves *moves) {
  for (GptCursor *c = matcher->cursors; c != NULL; c = c->after) {
    size_t i = 0;
    while (moves->from[i] != c->point) i++;
    c->point = moves->to[i];
  }
  matcher->begin = moves->to[0];
}

/* Forgets everything but the points in use, where there is too much. points [count]: some more that are, which become
   their new numbers. */
static bool make_room(GptMatcher *matcher, int32_t *points, size_t count) {
  if (!gpt_ways_full(&matcher->ways)) return true;
  Moves moves = {NULL, NULL, 0};
  bool done = list_points(matcher, points, count, &moves) && gpt_ways_forget(&matcher->ways, moves.to, moves.count);
  if (done) {
    move_cursors(matcher, &moves);
    for (size_t i = 0; i < count; i++) points[i] = moves.to[i + 1];
  }
  gpt_free(matcher->env, moves.from);
  gpt_free(matcher->env, moves.to);
  return done;
}

/* Sets the bits of a token and of those with the same bytes; returns how many. */
static int64_t mark_tokens(const GptTokenTree *tree, uint64_t *mask, int32_t token) {
  int64_t count = 0;
  for (; token >= 0; token = tree->same[token], count++) mask[token / 64] |= (uint64_t)1 << (token % 64);
  return count;
}

/* Walks the tree, leaving out what lies below a byte that does not go on. -1 on failure, otherwise how many tokens. */
static int64_t fill_mask(GptMatcher *matcher, int32_t point, uint64_t *mask) {
  const GptTokenTree *tree = matcher->tree;
  GptWays *ways = &matcher->ways;
  const uint8_t *classes = ways->grammar->classes;
  int32_t *path = matcher->path;
  int64_t count = 0;
  size_t known = ways->point_count;
  path[0] = point;
  for (size_t i = 0; i < tree->count;) {
    const GptTokenNode *node = &tree->nodes[i];
    if (ways->point_count - known >= MANY_POINTS) {
      if (!make_room(matcher, path, (size_t)node->depth + 1)) return -1;
      known = ways->point_count;
    }
    int32_t next = gpt_ways_step(ways, path[node->depth], classes[node->byte]);
    if (next == GPT_POINT_FAILED) return -1;
    if (next == GPT_POINT_NONE) {
      i = node->end;
      continue;
    }
    path[node->depth + 1] = next;
    if (node->token >= 0) count += mark_tokens(tree, mask, node->token);
    i++;
  }
  return count;
}

/* The mask of the cursor's point. */
static const uint64_t *find_mask(GptCursor *cursor) {
  GptMatcher *matcher = cursor->matcher;
  if (matcher->ways.points[cursor->point].mask != NULL) return matcher->ways.points[cursor->point].mask;
  gpt_ways_rest(&matcher->ways);
  if (!make_room(matcher, NULL, 0)) return NULL;
  uint64_t *mask = gpt_alloc_array_zeroed(matcher->env, matcher->words, sizeof *mask);
  if (mask == NULL) return NULL;
  int64_t count = fill_mask(matcher, cursor->point, mask);
  if (count < 0) {
    gpt_free(matcher->env, mask);
    return NULL;
  }
  GptPoint *point = &matcher->ways.points[cursor->point]; /* now: the walk may have moved the points */
  point->mask = mask;
  point->allowed = count;
  matcher->ways.mask_count++;
  return mask;
}

/* out [n]: the logits whose bits are set, or -inf. */
static void copy_allowed(const uint64_t *mask, const float *logits, int64_t n, float *out) {
  for (int64_t first = 0; first < n; first += 64) {
    uint64_t bits = mask[first / 64];
    int64_t count = n - first < 64 ? n - first : 64;
    if (bits == 0) {
      for (int64_t i = 0; i < count; i++) out[first + i] = -INFINITY;
    } else {
      for (int64_t i = 0; i < count; i++) out[first + i] = bits >> i & 1 ? logits[first + i] : -INFINITY;
    }
  }
}

static bool has_any(const float *out, int64_t n) {
  int found = 0;
  for (int64_t i = 0; i < n; i++) found |= !(out[i] == -INFINITY);
  return found;
}

static bool make_logits(GptCursor *cursor, int64_t vocab) {
  if (vocab <= cursor->room) return true;
  gpt_free(cursor->env, cursor->logits);
  cursor->logits = gpt_alloc_array(cursor->env, (size_t)vocab, sizeof *cursor->logits);
  cursor->room = cursor->logits != NULL ? vocab : 0;
  return cursor->logits != NULL;
}

static void *fail_without_token(const GptCursor *cursor) {
  int64_t allowed = cursor->matcher->ways.points[cursor->point].allowed;
  if (allowed == 0)
    return gpt_fail_null(cursor->env, "grammar: no token goes on from here: the grammar needs text that this tokenizer "
                                      "cannot write");
  return gpt_fail_null(cursor->env, "grammar: %lld ids can go on, and none of them has a logit above -inf",
                       (long long)allowed);
}

const float *gpt_cursor_restrict(GptCursor *cursor, const float *logits, int64_t vocab) {
  const uint64_t *mask = find_mask(cursor);
  if (mask == NULL || !make_logits(cursor, vocab)) return NULL;
  float *out = cursor->logits;
  int64_t known = cursor->matcher->tree->ids < vocab ? cursor->matcher->tree->ids : vocab;
  copy_allowed(mask, logits, known, out);
  for (int64_t id = known; id < vocab; id++) out[id] = -INFINITY;
  for (size_t i = 0; gpt_cursor_can_end(cursor) && i < cursor->end_count; i++)
    if (cursor->ends[i] >= 0 && cursor->ends[i] < vocab) out[cursor->ends[i]] = logits[cursor->ends[i]];
  return has_any(out, vocab) ? out : fail_without_token(cursor);
}

/* A cursor that goes ahead of another one: room can be made while both stand. It lies on the stack of the caller, which
   takes it back by unlink_cursor. */
static void send_ahead(GptCursor *cursor, GptCursor *ahead) {
  gpt_ways_rest(&cursor->matcher->ways);
  *ahead = (GptCursor){.env = cursor->env, .point = cursor->point};
  link_cursor(cursor->matcher, ahead);
}

/* Moves it by a byte; otherwise it stays, and the result is GPT_POINT_NONE or GPT_POINT_FAILED. */
static int32_t go_on(GptCursor *ahead, uint8_t byte) {
  GptWays *ways = &ahead->matcher->ways;
  if (!make_room(ahead->matcher, NULL, 0)) return GPT_POINT_FAILED;
  int32_t next = gpt_ways_step(ways, ahead->point, ways->grammar->classes[byte]);
  if (next >= 0) ahead->point = next;
  return next;
}

int gpt_cursor_take(GptCursor *cursor, int64_t id) {
  size_t n;
  const uint8_t *bytes = gpt_token_tree_bytes(cursor->matcher->tree, id, &n);
  if (n == 0) return 0;
  GptCursor ahead;
  int32_t next = 0;
  send_ahead(cursor, &ahead);
  for (size_t i = 0; i < n && next >= 0; i++) next = go_on(&ahead, bytes[i]);
  unlink_cursor(&ahead);
  if (next < 0) return next == GPT_POINT_NONE ? 0 : -1;
  cursor->point = ahead.point;
  return 1;
}

int gpt_cursor_forced(GptCursor *cursor, char out[GPT_MOST_FORCED], bool *complete) {
  GptWays *ways = &cursor->matcher->ways;
  GptCursor ahead;
  int count = 0, only;
  int32_t next = 0;
  send_ahead(cursor, &ahead);
  while ((only = gpt_ways_only(ways, ahead.point)) >= 0 && count < GPT_MOST_FORCED && next >= 0) {
    out[count++] = (char)only;
    next = go_on(&ahead, (uint8_t)only);
  }
  unlink_cursor(&ahead);
  *complete = gpt_ways_complete(ways, ahead.point);
  return only == GPT_POINT_FAILED || next < 0 ? -1 : count;
}

int64_t gpt_cursor_only(GptCursor *cursor) {
  const uint64_t *mask = find_mask(cursor);
  if (mask == NULL) return -2;
  if (cursor->matcher->ways.points[cursor->point].allowed != 1 || gpt_cursor_can_end(cursor)) return -1;
  size_t word = 0;
  while (mask[word] == 0) word++;
  return (int64_t)word * 64 + __builtin_ctzll(mask[word]);
}

bool gpt_cursor_can_end(const GptCursor *cursor) {
  return cursor->matcher->ways.points[cursor->point].can_end;
}

bool gpt_cursor_complete(const GptCursor *cursor) { return gpt_ways_complete(&cursor->matcher->ways, cursor->point); }

/* The point behind a byte. It forgets all others where there are many. */
static int32_t fit_byte(GptWays *ways, int32_t point, uint8_t byte) {
  gpt_ways_rest(ways);
  if (gpt_ways_full(ways) && !gpt_ways_forget(ways, &point, 1)) return GPT_POINT_FAILED;
  return gpt_ways_step(ways, point, ways->grammar->classes[byte]);
}

int gpt_grammar_matches(GptEnv *env, const GptGrammar *grammar, const char *text, size_t n, size_t *fits) {
  GptWays ways;
  int32_t point = gpt_ways_init(&ways, env, grammar) ? gpt_ways_begin(&ways) : GPT_POINT_FAILED;
  int matches = -1;
  for (*fits = 0; point >= 0 && *fits < n; ++*fits) {
    point = fit_byte(&ways, point, (uint8_t)text[*fits]);
    if (point == GPT_POINT_NONE) matches = 0;
    if (point == GPT_POINT_FAILED) gpt_fail_at(env, "byte %zu of the text", *fits + 1);
    if (point < 0) break;
  }
  if (point >= 0) matches = ways.points[point].can_end;
  gpt_ways_free(&ways);
  return matches;
}
