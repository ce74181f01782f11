#include "core/tokenizer/specials.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"

void gpt_specials_free(GptEnv *env, GptSpecials *specials) {
  gpt_free(env, specials->list);
  gpt_free(env, specials->bytes);
  gpt_free(env, specials->nodes);
  *specials = (GptSpecials){0};
}

bool gpt_specials_add(GptEnv *env, GptSpecials *s, uint32_t id, uint32_t flags, const uint8_t *bytes, size_t n) {
  if (!GPT_GROW(env, s->list, s->capacity, s->count, 1) || !GPT_GROW(env, s->bytes, s->room, s->used, n)) return false;
  memcpy(s->bytes + s->used, bytes, n);
  s->list[s->count++] = (GptSpecial){s->used, (uint32_t)n, id, flags};
  s->used += n;
  if (n > s->longest) s->longest = (uint32_t)n;
  return true;
}

/* By their bytes; equal ones in the order in which they came, which is that of where their bytes lie. */
static int compare_specials(const void *a, const void *b, void *context) {
  const GptSpecial *x = a, *y = b;
  const uint8_t *bytes = context;
  int order = memcmp(bytes + x->start, bytes + y->start, x->length < y->length ? x->length : y->length);
  if (order != 0) return order;
  if (x->length != y->length) return x->length < y->length ? -1 : 1;
  return (x->start > y->start) - (x->start < y->start);
}

static bool same_bytes(const GptSpecials *s, const GptSpecial *a, const GptSpecial *b) {
  return a->length == b->length && memcmp(s->bytes + a->start, s->bytes + b->start, a->length) == 0;
}

static void keep_first(GptSpecials *s) {
  size_t kept = 0;
  for (size_t i = 0; i < s->count; i++)
    if (kept == 0 || !same_bytes(s, &s->list[kept - 1], &s->list[i])) s->list[kept++] = s->list[i];
  s->count = kept;
}

/* The tokens list[low, high) that agree in their first `depth` bytes: those below a node. */
typedef struct Below {
  uint32_t low, high, depth;
} Below;

/* Adds the children of node i behind the `count` nodes that are there; returns how many are then. */
static uint32_t add_children(GptSpecials *s, Below *below, uint32_t i, uint32_t count) {
  GptSpecialNode *node = &s->nodes[i];
  uint32_t at = below[i].low, depth = below[i].depth;
  if (depth > 0 && s->list[at].length == depth) node->special = ++at;
  node->children = count;
  for (uint32_t end; at < below[i].high; at = end, node->count++) {
    const uint8_t byte = s->bytes[s->list[at].start + depth];
    for (end = at; end < below[i].high && s->bytes[s->list[end].start + depth] == byte;) end++;
    if (depth == 0) s->roots[byte] = count;
    s->nodes[count] = (GptSpecialNode){.byte = byte};
    below[count++] = (Below){at, end, depth + 1};
  }
  return count;
}

/* The tree has at most a node for each byte, and its root. */
static bool make_tree(GptEnv *env, GptSpecials *s) {
  if (s->used >= UINT32_MAX - 1) return gpt_fail(env, "the added tokens have %zu bytes", s->used);
  Below *below = gpt_alloc_array(env, s->used + 1, sizeof *below);
  s->nodes = below != NULL ? gpt_alloc_array(env, s->used + 1, sizeof *s->nodes) : NULL;
  if (s->nodes == NULL) return gpt_free(env, below), false;
  uint32_t count = 1;
  s->nodes[0] = (GptSpecialNode){0};
  below[0] = (Below){0, (uint32_t)s->count, 0};
  for (uint32_t i = 0; i < count; i++) count = add_children(s, below, i, count);
  gpt_free(env, below);
  return true;
}

bool gpt_specials_settle(GptEnv *env, GptSpecials *s) {
  if (s->count == 0) return true;
  qsort_r(s->list, s->count, sizeof *s->list, compare_specials, s->bytes);
  keep_first(s);
  return make_tree(env, s);
}

/* The child of a node to which a byte leads, or NULL. */
static const GptSpecialNode *find_child(const GptSpecials *s, const GptSpecialNode *node, uint8_t byte) {
  const GptSpecialNode *low = s->nodes + node->children, *high = low + node->count;
  while (high - low > 1) {
    const GptSpecialNode *middle = low + (high - low) / 2;
    if (middle->byte <= byte) low = middle;
    else high = middle;
  }
  return low < high && low->byte == byte ? low : NULL;
}

const GptSpecial *gpt_specials_match(const GptSpecials *s, const uint8_t *text, size_t n) {
  uint32_t found = 0;
  const GptSpecialNode *node = n > 0 && s->roots[text[0]] != 0 ? &s->nodes[s->roots[text[0]]] : NULL;
  for (size_t depth = 1; node != NULL; depth++) {
    if (node->special != 0) found = node->special;
    node = depth < n ? find_child(s, node, text[depth]) : NULL;
  }
  return found != 0 ? &s->list[found - 1] : NULL;
}

/* Whether a character of words ends at `end`, or begins at `at`. */
static bool word_before(const GptClasses *classes, const uint8_t *text, size_t from, size_t end) {
  uint32_t code;
  for (size_t length = 1; length <= 4 && length <= end - from; length++)
    if (gpt_utf8_decode(text + end - length, length, &code) == length) return gpt_is_word_character(classes, code);
  return false;
}

static bool word_after(const GptClasses *classes, const uint8_t *text, size_t at, size_t n) {
  uint32_t code;
  return at < n && gpt_utf8_decode(text + at, n - at, &code) != 0 && gpt_is_word_character(classes, code);
}

static bool is_word(const GptClasses *classes, const uint8_t *text, size_t start, size_t end, size_t n) {
  return !word_before(classes, text, 0, start) && !word_after(classes, text, end, n);
}

GptFound gpt_specials_next(const GptSpecials *s, const GptClasses *classes, const uint8_t *text, size_t at, size_t n) {
  while (s->count > 0 && at < n) {
    const GptSpecial *special = s->roots[text[at]] != 0 ? gpt_specials_match(s, text + at, n - at) : NULL;
    if (special == NULL) {
      at++;
      continue;
    }
    size_t end = at + special->length;
    if ((special->flags & GPT_TOKEN_WORD) == 0 || is_word(classes, text, at, end, n))
      return (GptFound){special->id, special->flags, at, end, at, end};
    at = end;
  }
  return (GptFound){-1, 0, n, n, n, n};
}

void gpt_specials_widen(const GptClasses *classes, const uint8_t *text, size_t from, size_t n, GptFound *found) {
  size_t end = found->end;
  if ((found->flags & GPT_TOKEN_LSTRIP) != 0 && from < found->own)
    found->start = gpt_scan_space_start(classes, text, from, found->own);
  if ((found->flags & GPT_TOKEN_RSTRIP) != 0) found->end = gpt_scan_space_after(classes, text, from > end ? from : end, n);
}
