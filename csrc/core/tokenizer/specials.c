#include "core/tokenizer/specials.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"

void gpt_specials_free(GptEnv *env, GptSpecials *specials) {
  gpt_free(env, specials->list);
  gpt_free(env, specials->bytes);
  *specials = (GptSpecials){0};
}

bool gpt_specials_add(GptEnv *env, GptSpecials *s, uint32_t id, uint32_t flags, const uint8_t *bytes, size_t n) {
  if (!GPT_GROW(env, s->list, s->capacity, s->count, 1) || !GPT_GROW(env, s->bytes, s->room, s->used, n)) return false;
  memcpy(s->bytes + s->used, bytes, n);
  s->list[s->count++] = (GptSpecial){s->used, (uint32_t)n, id, flags};
  s->used += n;
  s->begins[bytes[0]] = true;
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

void gpt_specials_settle(GptSpecials *s) {
  size_t kept = 0;
  if (s->count == 0) return;
  qsort_r(s->list, s->count, sizeof *s->list, compare_specials, s->bytes);
  for (size_t i = 0; i < s->count; i++)
    if (kept == 0 || !same_bytes(s, &s->list[kept - 1], &s->list[i])) s->list[kept++] = s->list[i];
  s->count = kept;
}

/* The first of list[low, high), which agree in their first `depth` bytes, whose next byte is at least `byte`. */
static size_t lower_bound(const GptSpecials *s, size_t low, size_t high, size_t depth, int byte) {
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const GptSpecial *each = &s->list[middle];
    int has = each->length > depth ? s->bytes[each->start + depth] : -1;
    if (has < byte) low = middle + 1;
    else high = middle;
  }
  return low;
}

const GptSpecial *gpt_specials_match(const GptSpecials *s, const uint8_t *text, size_t n) {
  const GptSpecial *found = NULL;
  size_t low = 0, high = s->count;
  for (size_t depth = 0; depth < n && low < high; depth++) {
    low = lower_bound(s, low, high, depth, text[depth]);
    high = lower_bound(s, low, high, depth, text[depth] + 1);
    if (low < high && s->list[low].length == depth + 1) found = &s->list[low];
  }
  return found;
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

/* A token that was found there, with what it takes along; false where it is to be a word and is none. */
static bool settle_found(const GptSpecial *special, const GptClasses *classes, const uint8_t *text, size_t from,
                         size_t n, GptFound *found) {
  size_t start = found->start, end = found->end;
  if (from > start) from = start;
  bool alone = !word_before(classes, text, 0, start) && !word_after(classes, text, end, n);
  if ((special->flags & GPT_TOKEN_WORD) != 0 && !alone) return false;
  if ((special->flags & GPT_TOKEN_LSTRIP) != 0) found->start = gpt_scan_space_start(classes, text, from, start);
  if ((special->flags & GPT_TOKEN_RSTRIP) != 0) found->end = gpt_scan_space_after(classes, text, end, n);
  return true;
}

GptFound gpt_specials_next(const GptSpecials *s, const GptClasses *classes, const uint8_t *text, size_t from, size_t at,
                           size_t n) {
  const uint32_t odd = GPT_TOKEN_LSTRIP | GPT_TOKEN_RSTRIP | GPT_TOKEN_WORD;
  while (s->count > 0 && at < n) {
    const GptSpecial *special = s->begins[text[at]] ? gpt_specials_match(s, text + at, n - at) : NULL;
    if (special == NULL) {
      at++;
      continue;
    }
    GptFound found = {special->id, at, at + special->length, at, at + special->length};
    if ((special->flags & odd) == 0 || settle_found(special, classes, text, from, n, &found)) return found;
    at = found.resume;
  }
  return (GptFound){-1, n, n, n, n};
}
