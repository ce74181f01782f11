#define PCRE2_CODE_UNIT_WIDTH 8
#include "core/tokenizer/regex.h"

#include <pcre2.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/base/utf8.h"
#include "core/io/json.h"

#define LONGEST_PATTERN ((size_t)1 << 16)
#define MOST_AHEAD ((size_t)1 << 14) /* places at which one search looks for a match, at most */
#define STACK_FIRST ((size_t)32 << 10)
#define STACK_MOST ((size_t)64 << 20)

struct GptRegex {
  char *pattern; /* as it came */
  size_t length;
  bool literal;
  pcre2_general_context *general;
  pcre2_code *code; /* NULL: literal */
  pcre2_match_data *data;
  pcre2_match_context *context;
  pcre2_jit_stack *stack;
  size_t ahead; /* bytes: where the next search looks for the beginning of a match */
};

static void *regex_alloc(size_t bytes, void *env) { return gpt_alloc(env, bytes); }

static void regex_release(void *block, void *env) { gpt_free(env, block); }

void gpt_regex_free(GptEnv *env, GptRegex *regex) {
  if (regex == NULL) return;
  pcre2_jit_stack_free(regex->stack);
  pcre2_match_context_free(regex->context);
  pcre2_match_data_free(regex->data);
  pcre2_code_free(regex->code);
  pcre2_general_context_free(regex->general);
  gpt_free(env, regex->pattern);
  gpt_free(env, regex);
}

const char *gpt_regex_pattern(const GptRegex *regex) { return regex->pattern; }

bool gpt_regex_is_literal(const GptRegex *regex) { return regex->literal; }

/* What stands in a character class for what the pattern has. PCRE2's tables may be older than Unicode 16: what is a
   letter or a number since is listed. */
#define NEW_LETTERS \
  "\\x{1c89}\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}\\x{10d4a}-\\x{10d65}" \
  "\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}" \
  "\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}" \
  "\\x{11f12}-\\x{11f33}\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}" \
  "\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}" \
  "\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"
#define NEW_NUMBERS \
  "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{16139}" \
  "\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"
#define NEW_DIGITS \
  "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{16139}" \
  "\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{1e5fa}"
#define NEW_MARKS \
  "\\x{897}\\x{cf3}\\x{ece}\\x{10d69}-\\x{10d6d}\\x{10efc}-\\x{10eff}\\x{11241}\\x{113b8}-\\x{113c0}\\x{113c2}" \
  "\\x{113c5}\\x{113c7}-\\x{113ca}\\x{113cc}-\\x{113d0}\\x{113d2}\\x{113e1}\\x{113e2}\\x{11f00}\\x{11f01}" \
  "\\x{11f03}\\x{11f34}-\\x{11f3a}\\x{11f3e}-\\x{11f42}\\x{11f5a}\\x{13440}\\x{13447}-\\x{13455}" \
  "\\x{1611e}-\\x{1612f}\\x{1e08f}\\x{1e4ec}-\\x{1e4ef}\\x{1e5ee}\\x{1e5ef}"
#define NEW_SIGNS \
  "\\x{1b4e}\\x{1b4f}\\x{1b7f}\\x{10d6e}\\x{113d4}\\x{113d5}\\x{113d7}\\x{113d8}\\x{11b00}-\\x{11b09}\\x{11be1}" \
  "\\x{11f43}-\\x{11f4f}\\x{16d6d}-\\x{16d6f}\\x{1e5ff}"
#define SPACES "\\t-\\r \\x{85}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
#define WORDS \
  "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}" NEW_LETTERS NEW_DIGITS NEW_MARKS

static const struct {
  const char *from;
  const char *members; /* of a class */
  bool negated;        /* only outside of classes: the class of all others */
} escapes[] = {
    {"\\p{L}", "\\p{L}" NEW_LETTERS, false},  {"\\P{L}", "\\p{L}" NEW_LETTERS, true},
    {"\\pL", "\\p{L}" NEW_LETTERS, false},    {"\\p{N}", "\\p{N}" NEW_NUMBERS, false},
    {"\\P{N}", "\\p{N}" NEW_NUMBERS, true},   {"\\pN", "\\p{N}" NEW_NUMBERS, false},
    {"\\p{M}", "\\p{M}" NEW_MARKS, false},    {"\\P{M}", "\\p{M}" NEW_MARKS, true},
    {"\\p{P}", "\\p{P}" NEW_SIGNS, false},    {"\\P{P}", "\\p{P}" NEW_SIGNS, true},
    {"\\p{Nd}", "\\p{Nd}" NEW_DIGITS, false}, {"\\d", "\\p{Nd}" NEW_DIGITS, false},
    {"\\D", "\\p{Nd}" NEW_DIGITS, true},      {"\\s", SPACES, false},
    {"\\S", SPACES, true},                    {"\\w", WORDS, false},
    {"\\W", WORDS, true},
};

/* Appends what an escape becomes; returns its length, or 0 where it stays as it is. */
static size_t translate_escape(const char *at, size_t n, bool in_class, GptText *out) {
  for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
    size_t length = strlen(escapes[i].from);
    if (length > n || memcmp(at, escapes[i].from, length) != 0 || (in_class && escapes[i].negated)) continue;
    const char *format = in_class ? "%s" : escapes[i].negated ? "[^%s]" : "[%s]";
    gpt_text_add(out, format, escapes[i].members);
    return length;
  }
  return 0;
}

/* The length of a repetition {2}, {2,} or {2,3} that begins at `at`, and whether it is at least one; or 0. */
static size_t repetition(const char *at, size_t n, bool *once) {
  size_t i = 1;
  if (at[0] != '{') return 0;
  while (i < n && ((at[i] >= '0' && at[i] <= '9') || at[i] == ',')) i++;
  if (i == 1 || i >= n || at[i] != '}') return 0;
  *once = at[1] == '1' && (at[2] == ',' || at[2] == '}');
  return i + 1;
}

/* Oniguruma repeats a repetition again where PCRE2 makes it possessive: {1,3}+ is + there. */
static bool translate_repetition(GptEnv *env, const char *at, size_t n, GptText *out, size_t *length) {
  bool once = false;
  *length = repetition(at, n, &once);
  if (*length == 0 || *length >= n || at[*length] != '+') {
    gpt_text_add_bytes(out, at, *length);
    return true;
  }
  if (!once) return gpt_fail(env, "a repetition like {2}+ is not supported");
  gpt_text_add(out, "+");
  ++*length;
  return true;
}

/* What stands inside [ ]: the length of what is one thing there, or 0 and a message. */
static size_t translate_member(GptEnv *env, const char *at, size_t n, GptText *out) {
  const char *close = n > 1 && at[0] == '[' && at[1] == ':' ? memmem(at, n, ":]", 2) : NULL;
  size_t length = close != NULL ? (size_t)(close - at) + 2 : 1;
  if (close == NULL && at[0] == '[') return gpt_fail(env, "a class within a class is not supported"), 0;
  if (n > 1 && at[0] == '&' && at[1] == '&') return gpt_fail(env, "&& in a class is not supported"), 0;
  gpt_text_add_bytes(out, at, length);
  return length;
}

/* Escapes mean the same inside and outside of classes, but are written otherwise. */
static size_t translate_backslash(GptEnv *env, const char *at, size_t n, bool in_class, GptText *out) {
  if (at[1] == 'h' || at[1] == 'H') return gpt_fail(env, "\\%c is not supported", at[1]), 0;
  size_t length = translate_escape(at, n, in_class, out);
  if (length == 0) gpt_text_add_bytes(out, at, length = 2);
  return length;
}

static bool translate(GptEnv *env, const char *pattern, size_t n, GptText *out) {
  bool in_class = false;
  for (size_t at = 0, length; at < n; at += length) {
    const char *here = pattern + at;
    size_t left = n - at;
    if (here[0] == '\\' && left > 1) {
      length = translate_backslash(env, here, left, in_class, out);
      if (length == 0) return false;
    } else if (!in_class && left > 1 && here[0] == '(' && here[1] == '*') {
      return gpt_fail(env, "(* is not supported");
    } else if (in_class && here[0] != ']') {
      length = translate_member(env, here, left, out);
      if (length == 0) return false;
    } else {
      if (!translate_repetition(env, here, left, out, &length)) return false;
      if (length == 0) gpt_text_add_bytes(out, here, length = 1);
      in_class = here[0] == '[';
    }
  }
  return !out->failed;
}

static bool fail_compile(GptEnv *env, int number, size_t at) {
  PCRE2_UCHAR message[160];
  if (number == PCRE2_ERROR_NOMEMORY || number == PCRE2_ERROR_HEAP_FAILED) return gpt_fail(env, "not enough memory");
  pcre2_get_error_message(number, message, sizeof message);
  return gpt_fail(env, "%s (at %zu)", (const char *)message, at);
}

/* A stack for PCRE2's machine code, in the place of one that has grown and would keep what it has. Without memory for it
   the code has a small one of its own. */
static void renew_stack(GptRegex *regex) {
  pcre2_jit_stack_free(regex->stack);
  regex->stack = pcre2_jit_stack_create(STACK_FIRST, STACK_MOST, regex->general);
  pcre2_jit_stack_assign(regex->context, NULL, regex->stack);
}

static bool compile(GptEnv *env, GptRegex *regex, const GptText *text) {
  int number = 0;
  PCRE2_SIZE at = 0;
  const uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_MATCH_INVALID_UTF |
                           PCRE2_NEVER_BACKSLASH_C | PCRE2_USE_OFFSET_LIMIT;
  regex->general = pcre2_general_context_create(regex_alloc, regex_release, env);
  pcre2_compile_context *context = regex->general != NULL ? pcre2_compile_context_create(regex->general) : NULL;
  if (context == NULL) return gpt_fail(env, "not enough memory");
  pcre2_set_newline(context, PCRE2_NEWLINE_LF);
  regex->code = pcre2_compile((PCRE2_SPTR)text->data, text->length, options, &number, &at, context);
  pcre2_compile_context_free(context);
  if (regex->code == NULL) return fail_compile(env, number, at);
  pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE); /* where there is none, it is interpreted */
  regex->data = pcre2_match_data_create(1, regex->general);
  regex->context = pcre2_match_context_create(regex->general);
  if (regex->data == NULL || regex->context == NULL) return gpt_fail(env, "not enough memory");
  pcre2_set_heap_limit(regex->context, (uint32_t)(STACK_MOST >> 10));
  regex->ahead = MOST_AHEAD;
  renew_stack(regex);
  return true;
}

/* A class or a group that is never closed could swallow what is appended; PCRE2 says so. */
static bool compile_pattern(GptEnv *env, GptRegex *regex) {
  GptText text;
  char quoted[GPT_QUOTE_SIZE];
  gpt_text_init(&text, env);
  bool good = translate(env, regex->pattern, regex->length, &text) && compile(env, regex, &text);
  gpt_text_free(&text);
  return good || gpt_fail_at(env, "the pattern %s", gpt_quote(regex->pattern, regex->length, quoted));
}

GptRegex *gpt_regex_new(GptEnv *env, const char *pattern, size_t n, bool literal) {
  if (n == 0 || n > LONGEST_PATTERN) return gpt_fail_null(env, "a pattern of %zu bytes; 1 to %zu expected", n,
                                                          LONGEST_PATTERN);
  GptRegex *regex = gpt_alloc_zeroed(env, sizeof *regex);
  if (regex == NULL) return NULL;
  regex->pattern = gpt_alloc_zeroed(env, n + 1);
  regex->length = n;
  regex->literal = literal;
  if (regex->pattern != NULL) memcpy(regex->pattern, pattern, n);
  if (regex->pattern != NULL && (literal || compile_pattern(env, regex))) return regex;
  gpt_regex_free(env, regex);
  return NULL;
}

static bool next_literal(const GptRegex *regex, const uint8_t *text, size_t n, GptMatch *match) {
  const uint8_t *found = memmem(text + match->end, n - match->end, regex->pattern, regex->length);
  size_t start = found != NULL ? (size_t)(found - text) : n;
  *match = (GptMatch){found != NULL, start, found != NULL ? start + regex->length : n};
  return true;
}

/* One character on: what is searched next where an empty match would come again. */
static size_t step_over(const uint8_t *text, size_t n, size_t at) {
  uint32_t code;
  size_t length = at < n ? gpt_utf8_decode(text + at, n - at, &code) : 0;
  return at + (length == 0 ? 1 : length);
}

/* Where the next character begins at `at` or behind it. */
static size_t next_character(const uint8_t *text, size_t n, size_t at) {
  while (at < n && (text[at] & 0xc0) == 0x80) at++;
  return at;
}

/* One search at the places from `at` on, but no further than `last`. */
static int search(GptRegex *regex, const uint8_t *text, size_t n, size_t at, size_t last, uint32_t steps) {
  pcre2_set_offset_limit(regex->context, last);
  pcre2_set_match_limit(regex->context, steps);
  return pcre2_match(regex->code, text, n, at, 0, regex->data, regex->context);
}

/* Searches at one place that takes many steps: how many is known only by trying with more and more. */
static int search_hard(GptRegex *regex, GptBudget *budget, const uint8_t *text, size_t n, size_t at) {
  int found = PCRE2_ERROR_MATCHLIMIT;
  for (uint64_t steps = GPT_FREE_STEPS; found == PCRE2_ERROR_MATCHLIMIT && steps < budget->steps;) {
    steps = 8 * steps < budget->steps && 8 * steps < UINT32_MAX ? 8 * steps : budget->steps;
    if (steps > UINT32_MAX) break;
    found = search(regex, text, n, at, at, (uint32_t)steps);
    budget->steps -= steps;
  }
  renew_stack(regex);
  return found;
}

/*
 * PCRE2 counts a pattern's steps anew at every place of a text. So one search looks at as many places only as searches
 * before it have passed, each with GPT_FREE_STEPS: those that come to no end cost no more than the others. A place that
 * needs more of them is searched alone, and the budget pays.
 */
static int search_on(GptRegex *regex, GptBudget *budget, const uint8_t *text, size_t n, size_t at) {
  for (;;) {
    size_t last = n - at < regex->ahead ? n : at + regex->ahead - 1, passed;
    int found = search(regex, text, n, at, last, GPT_FREE_STEPS);
    if (found == PCRE2_ERROR_MATCHLIMIT && regex->ahead > 1) {
      regex->ahead = 1;
      continue;
    }
    if (found == PCRE2_ERROR_MATCHLIMIT) found = search_hard(regex, budget, text, n, last = at);
    if (found < 0 && (found != PCRE2_ERROR_NOMATCH || last == n)) return found;
    passed = (found < 0 ? last : pcre2_get_ovector_pointer(regex->data)[0]) - at + 1;
    if (regex->ahead < MOST_AHEAD) regex->ahead += passed < MOST_AHEAD ? passed : MOST_AHEAD;
    if (found >= 0) return found;
    at = next_character(text, n, last + 1);
  }
}

bool gpt_regex_next(GptEnv *env, GptRegex *regex, GptBudget *budget, const uint8_t *text, size_t n, GptMatch *match) {
  if (regex->literal) return next_literal(regex, text, n, match);
  for (size_t at = match->end; at <= n; at = step_over(text, n, at)) {
    int found = search_on(regex, budget, text, n, at);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) return gpt_fail(env, "the pattern %.60s takes too many steps (%d)", regex->pattern, found);
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(regex->data);
    at = places[1];
    if (match->found && places[0] == places[1] && places[1] == match->end) continue;
    *match = (GptMatch){true, places[0], places[1]};
    return true;
  }
  *match = (GptMatch){false, n, n};
  return true;
}
