#include "core/tokenizer/pretokenize.h"

#include <string.h>

#include "core/base/memory.h"
#include "core/base/utf8.h"
#include "core/tokenizer/characters.h"

void gpt_cuts_free(GptEnv *env, GptCuts *cuts) {
  for (size_t i = 0; i < cuts->count; i++) {
    gpt_regex_free(env, cuts->list[i].regex);
    gpt_free(env, cuts->list[i].space.data);
  }
  *cuts = (GptCuts){0};
}

GptCut *gpt_cuts_add(GptEnv *env, GptCuts *cuts, GptCutKind kind) {
  if (cuts->count == GPT_MOST_CUTS) return gpt_fail_null(env, "more than %d pre-tokenizers", GPT_MOST_CUTS);
  GptCut *cut = &cuts->list[cuts->count++];
  *cut = (GptCut){.kind = kind};
  gpt_text_init(&cut->space, env);
  return cut;
}

/* The steps from one on, and where the words go. */
typedef struct Cutting {
  GptEnv *env;
  GptCuts *cuts;
  const GptClasses *classes;
  GptBudget *budget;
  GptTakeWord *take;
  void *taker;
} Cutting;

static bool cut_from(const Cutting *c, size_t step, GptSpan span);

/* Hands the bytes [from, to) of a span to the next step. */
static bool pass_on(const Cutting *c, size_t step, GptSpan span, size_t from, size_t to) {
  if (from >= to) return true;
  GptSpan part = {span.text + from, to - from, span.n - to + span.after, span.first && from == 0};
  return cut_from(c, step + 1, part);
}

static bool cut_by_scanner(const Cutting *c, size_t step, GptSpan span) {
  const GptScanRules rules = c->cuts->list[step].rules;
  for (size_t at = 0, next; at < span.n; at = next) {
    next = gpt_scan_word(c->classes, &rules, span.text, at, span.n);
    if (!pass_on(c, step, span, at, next)) return false;
  }
  return true;
}

/* Matches and what lies between them, put together as the behavior says: a part waits until it is clear where it
   ends. */
typedef struct Parts {
  const Cutting *c;
  size_t step;
  GptSpan span;
  size_t from, to; /* waiting; none where both are the same */
  bool matched;    /* the last part was a match */
  bool any;
} Parts;

static bool end_part(Parts *p) {
  bool good = pass_on(p->c, p->step, p->span, p->from, p->to);
  p->from = p->to;
  return good;
}

/* Whether a part joins the one before it. */
static bool joins_previous(const Parts *p, GptCutBehavior behavior, bool match) {
  if (!p->any) return false;
  if (behavior == GPT_CUT_CONTIGUOUS) return match == p->matched;
  if (behavior == GPT_CUT_MERGED_WITH_PREVIOUS) return match && !p->matched;
  return behavior == GPT_CUT_MERGED_WITH_NEXT && !match && p->matched;
}

static bool add_cut_part(Parts *p, size_t to, bool match) {
  const GptCut *cut = &p->c->cuts->list[p->step];
  match = match != cut->invert;
  bool join = joins_previous(p, cut->behavior, match);
  if (!join && !end_part(p)) return false;
  p->to = to;
  p->matched = match;
  p->any = true;
  if (cut->behavior == GPT_CUT_REMOVED && match) p->from = to;
  return true;
}

/* A match, which may be empty, and what lies between the part before and it. */
static bool add_match(Parts *p, size_t start, size_t end) {
  return (start == p->to || add_cut_part(p, start, false)) && add_cut_part(p, end, true);
}

static bool end_parts(Parts *p) {
  return (p->span.n == p->to || add_cut_part(p, p->span.n, false)) && end_part(p);
}

static bool cut_by_regex(const Cutting *c, size_t step, GptSpan span) {
  Parts parts = {.c = c, .step = step, .span = span};
  GptMatch match = {0};
  for (;;) {
    if (!gpt_regex_next(c->env, c->cuts->list[step].regex, c->budget, span.text, span.n, &match)) return false;
    if (!match.found) return end_parts(&parts);
    if (!add_match(&parts, match.start, match.end)) return false;
  }
}

static bool cut_by_digits(const Cutting *c, size_t step, GptSpan span) {
  Parts parts = {.c = c, .step = step, .span = span};
  for (size_t at = 0, length; at < span.n; at += length) {
    uint32_t code;
    length = gpt_utf8_decode(span.text + at, span.n - at, &code);
    bool number = length != 0 && gpt_class_of(c->classes, code) == NUMBER;
    if (length == 0) length = 1;
    if (number && !add_match(&parts, at, at + length)) return false;
  }
  return end_parts(&parts);
}

/* Goes on with what a step wrote. */
static bool go_on_with(const Cutting *c, size_t step, const GptText *text, bool first) {
  if (text->failed || !gpt_budget_take(c->env, c->budget, text->length, "pre-tokenizers")) return false;
  GptSpan span = {(const uint8_t *)text->data, text->length, 0, first};
  return text->length == 0 || cut_from(c, step + 1, span);
}

static bool put_blank_before(const Cutting *c, size_t step, GptSpan span) {
  GptText *out = &c->cuts->list[step].space;
  if (span.text[0] == ' ') return cut_from(c, step + 1, span);
  out->length = 0;
  gpt_text_add_bytes(out, " ", 1);
  gpt_text_add_bytes(out, (const char *)span.text, span.n);
  return go_on_with(c, step, out, span.first);
}

static bool begins_with_mark(const GptCut *cut, GptSpan span) {
  return span.text[0] == ' ' || (span.n >= cut->mark_length && memcmp(span.text, cut->mark, cut->mark_length) == 0);
}

static bool mark_blanks(const Cutting *c, size_t step, GptSpan span) {
  GptCut *cut = &c->cuts->list[step];
  GptText *out = &cut->space;
  bool wanted = cut->scheme == GPT_BLANK_ALWAYS || (cut->scheme == GPT_BLANK_FIRST && span.first);
  out->length = 0;
  if (wanted && !begins_with_mark(cut, span)) gpt_text_add_bytes(out, cut->mark, cut->mark_length);
  for (size_t at = 0; at < span.n;) {
    const uint8_t *blank = memchr(span.text + at, ' ', span.n - at);
    size_t end = blank != NULL ? (size_t)(blank - span.text) : span.n;
    gpt_text_add_bytes(out, (const char *)span.text + at, end - at);
    if (blank != NULL) gpt_text_add_bytes(out, cut->mark, cut->mark_length);
    if (!gpt_budget_check(c->env, c->budget, out->length, "pre-tokenizers")) return false;
    at = end + 1;
  }
  return go_on_with(c, step, out, span.first);
}

static bool cut_before_marks(const Cutting *c, size_t step, GptSpan span) {
  const GptCut *cut = &c->cuts->list[step];
  size_t from = 0, length = cut->mark_length;
  for (size_t at = 0; at < span.n;) {
    const uint8_t *mark = memmem(span.text + at, span.n - at, cut->mark, length);
    if (mark == NULL) break;
    size_t place = (size_t)(mark - span.text);
    bool in_run = place >= length && memcmp(mark - length, cut->mark, length) == 0;
    uint8_t before = place > 0 ? span.text[place - 1] : 0;
    at = place + length;
    if (place == from || in_run || (cut->joins[before >> 3] >> (before & 7) & 1) != 0) continue;
    if (!pass_on(c, step, span, from, place)) return false;
    from = place;
  }
  return pass_on(c, step, span, from, span.n);
}

static bool cut_from(const Cutting *c, size_t step, GptSpan span) {
  if (step == c->cuts->count) return c->take(c->taker, span);
  switch (c->cuts->list[step].kind) {
    case GPT_CUT_SCAN: return cut_by_scanner(c, step, span);
    case GPT_CUT_REGEX: return cut_by_regex(c, step, span);
    case GPT_CUT_DIGITS: return cut_by_digits(c, step, span);
    case GPT_CUT_PREFIX: return put_blank_before(c, step, span);
    case GPT_CUT_BLANKS: return mark_blanks(c, step, span);
    case GPT_CUT_MARKS: return cut_before_marks(c, step, span);
  }
  return true;
}

bool gpt_cut_piece(GptEnv *env, GptCuts *cuts, const GptClasses *classes, GptBudget *budget, GptSpan piece,
                   GptTakeWord *take, void *taker) {
  const Cutting c = {env, cuts, classes, budget, take, taker};
  return piece.n == 0 || cut_from(&c, 0, piece);
}
