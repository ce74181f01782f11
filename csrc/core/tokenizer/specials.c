#include "core/tokenizer/specials.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

static int compare_specials(const void *a, const void *b, void *context) {
  const GptVocabulary *v = context;
  const GptToken *x = &v->tokens[*(const uint32_t *)a], *y = &v->tokens[*(const uint32_t *)b];
  int order = memcmp(v->bytes + x->start, v->bytes + y->start, x->length < y->length ? x->length : y->length);
  return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

void gpt_specials_free(GptEnv *env, GptSpecials *specials) {
  gpt_free(env, specials->ids);
  *specials = (GptSpecials){0};
}

static bool is_listed(const GptToken *token, bool marks) {
  return (token->flags & GPT_TOKEN_ADDED) != 0 && (marks || (token->flags & GPT_TOKEN_SPECIAL) == 0) &&
         token->length > 0;
}

static void list_token(const GptVocabulary *v, size_t id, GptSpecials *specials) {
  const GptToken *token = &v->tokens[id];
  specials->ids[specials->count++] = (uint32_t)id;
  specials->begins[v->bytes[token->start]] = true;
  if (token->length > specials->longest) specials->longest = token->length;
}

bool gpt_specials_collect(GptEnv *env, const GptVocabulary *v, bool marks, GptSpecials *specials) {
  size_t count = 0;
  gpt_specials_free(env, specials);
  for (size_t id = 0; id < v->size; id++) count += is_listed(&v->tokens[id], marks);
  specials->ids = gpt_alloc_array(env, count, sizeof *specials->ids);
  if (specials->ids == NULL) return false;
  for (size_t id = 0; id < v->size; id++)
    if (is_listed(&v->tokens[id], marks)) list_token(v, id, specials);
  qsort_r(specials->ids, count, sizeof *specials->ids, compare_specials, (void *)v);
  return true;
}

/* The first of ids[low, high), which agree in their first `depth` bytes, whose next byte is at least `byte`. */
static size_t lower_bound(const GptSpecials *s, const GptVocabulary *v, size_t low, size_t high, size_t depth,
                          int byte) {
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    const GptToken *token = &v->tokens[s->ids[middle]];
    int has = token->length > depth ? v->bytes[token->start + depth] : -1;
    if (has < byte) low = middle + 1;
    else high = middle;
  }
  return low;
}

int64_t gpt_specials_match(const GptSpecials *s, const GptVocabulary *v, const uint8_t *text, size_t n) {
  int64_t found = -1;
  size_t low = 0, high = s->count;
  for (size_t depth = 0; depth < n && low < high; depth++) {
    low = lower_bound(s, v, low, high, depth, text[depth]);
    high = lower_bound(s, v, low, high, depth, text[depth] + 1);
    if (low < high && v->tokens[s->ids[low]].length == depth + 1) found = s->ids[low];
  }
  return found;
}

int64_t gpt_specials_next(const GptSpecials *s, const GptVocabulary *v, const uint8_t *text, size_t at, size_t n,
                          size_t *start, size_t *end) {
  for (; s->count > 0 && at < n; at++) {
    if (!s->begins[text[at]]) continue;
    int64_t id = gpt_specials_match(s, v, text + at, n - at);
    if (id < 0) continue;
    *start = at;
    *end = at + v->tokens[id].length;
    return id;
  }
  *start = *end = n;
  return -1;
}
