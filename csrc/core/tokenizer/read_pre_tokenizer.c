/* tokenizer.json's pre_tokenizer. */
#include <string.h>

#include "core/tokenizer/reading.h"

#define DEEPEST 8

/* "Whitespace" looks for words by another regex library, to which ZERO WIDTH JOINER is a part of them. */
#define WORD "\\p{Alphabetic}\\p{L}\\p{M}\\p{Nd}\\p{Pc}\\x{200c}\\x{200d}"
#define WORDS_AND_SIGNS "[" WORD "]+|[^" WORD "\\s]+"

#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MODERN(endings, numbers) \
  endings "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define FOLDED "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define ASCII "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define GPT2 "| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"

/* Patterns that the scanner knows, in the ways in which they are written. */
static const struct {
  const char *pattern;
  GptScanRules rules;
} known[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d" GPT2, {.contractions = GPT_CONTRACTIONS_LOWER}},
    {"'(?:[sdmt]|ll|ve|re)" GPT2, {.contractions = GPT_CONTRACTIONS_LOWER}},
    {MODERN(FOLDED, "\\p{N}{1,3}"), {.contractions = GPT_CONTRACTIONS_FOLDED, .modern = true, .digits = 3}},
    {MODERN(FOLDED, "\\p{N}"), {.contractions = GPT_CONTRACTIONS_FOLDED, .modern = true, .digits = 1}},
    {MODERN(ASCII, "\\p{N}{1,3}"), {.contractions = GPT_CONTRACTIONS_ASCII, .modern = true, .digits = 3}},
    {MODERN(ASCII, "\\p{N}"), {.contractions = GPT_CONTRACTIONS_ASCII, .modern = true, .digits = 1}},
};

const GptScanRules *gpt_known_pattern(const char *pattern) {
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (strcmp(pattern, known[i].pattern) == 0) return &known[i].rules;
  return NULL;
}

/* A behavior by its name; missing: isolated. */
static bool read_behavior(GptEnv *env, GptCut *cut, const cJSON *value) {
  static const char *const names[GPT_CUT_BEHAVIORS] = {"Isolated", "Removed", "MergedWithPrevious", "MergedWithNext",
                                                       "Contiguous"};
  const cJSON *behavior = gpt_json_field(value, "behavior");
  const char *name = cJSON_GetStringValue(behavior);
  if (behavior == NULL) return true;
  for (int i = 0; name != NULL && i < GPT_CUT_BEHAVIORS; i++)
    if (strcmp(name, names[i]) == 0) return cut->behavior = (GptCutBehavior)i, true;
  return gpt_fail(env, "pre_tokenizer %s: behavior Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous "
                  "expected", gpt_json_type(value));
}

/* The scanner's words are all the matches, and cover the text: its words stand apart, or nothing is left out. */
static bool is_words(const GptCut *cut) {
  return cut->behavior == GPT_CUT_ISOLATED || (cut->behavior == GPT_CUT_REMOVED && cut->invert);
}

static bool read_split(GptEnv *env, GptCut *cut, const cJSON *value) {
  const char *regex = gpt_json_text(gpt_json_field(value, "pattern"), "Regex");
  cut->invert = cJSON_IsTrue(gpt_json_field(value, "invert"));
  if (!read_behavior(env, cut, value)) return false;
  const GptScanRules *rules = regex != NULL && is_words(cut) ? gpt_known_pattern(regex) : NULL;
  if (rules != NULL) {
    *cut = (GptCut){.kind = GPT_CUT_SCAN, .rules = *rules, .space = cut->space};
    return true;
  }
  cut->regex = gpt_read_pattern(env, gpt_json_field(value, "pattern"));
  return cut->regex != NULL || gpt_fail_at(env, "pre_tokenizer Split");
}

static bool add_split(GptEnv *env, GptCuts *cuts, const cJSON *value) {
  GptCut *cut = gpt_cuts_add(env, cuts, GPT_CUT_REGEX);
  return cut != NULL && read_split(env, cut, value);
}

static bool add_digits(GptEnv *env, GptCuts *cuts, const cJSON *value) {
  GptCut *cut = gpt_cuts_add(env, cuts, GPT_CUT_DIGITS);
  if (cut == NULL) return false;
  cut->behavior = cJSON_IsTrue(gpt_json_field(value, "individual_digits")) ? GPT_CUT_ISOLATED : GPT_CUT_CONTIGUOUS;
  return true;
}

/* A pattern of our own for a type that has none. */
static bool add_pattern(GptEnv *env, GptCuts *cuts, const cJSON *value, const char *pattern, GptCutBehavior behavior,
                        bool invert) {
  GptCut *cut = gpt_cuts_add(env, cuts, GPT_CUT_REGEX);
  if (cut == NULL) return false;
  cut->behavior = behavior;
  cut->invert = invert;
  cut->regex = gpt_regex_new(env, pattern, strlen(pattern), false);
  return cut->regex != NULL && (value == NULL || read_behavior(env, cut, value));
}

/* Cut as GPT-2's pattern does, unless told otherwise. After a cut at each number the scanner does both at once. */
static bool add_byte_level(GptEnv *env, GptCuts *cuts, const cJSON *value) {
  bool prefix = cJSON_IsTrue(gpt_json_field(value, "add_prefix_space"));
  GptCut *last = cuts->count > 0 ? &cuts->list[cuts->count - 1] : NULL;
  if (prefix && gpt_cuts_add(env, cuts, GPT_CUT_PREFIX) == NULL) return false;
  if (cJSON_IsFalse(gpt_json_field(value, "use_regex"))) return true;
  if (!prefix && last != NULL && last->kind == GPT_CUT_DIGITS && last->behavior == GPT_CUT_ISOLATED) {
    last->kind = GPT_CUT_SCAN;
    last->rules = (GptScanRules){.digits = 1, .digits_apart = true};
    return true;
  }
  return gpt_cuts_add(env, cuts, GPT_CUT_SCAN) != NULL;
}

static bool read_scheme(GptEnv *env, GptCut *cut, const cJSON *value) {
  static const char *const names[] = {"always", "first", "never"};
  const char *name = gpt_json_text(value, "prepend_scheme");
  if (name == NULL) {
    cut->scheme = cJSON_IsFalse(gpt_json_field(value, "add_prefix_space")) ? GPT_BLANK_NEVER : GPT_BLANK_ALWAYS;
    return true;
  }
  for (int i = 0; i < 3; i++)
    if (strcmp(name, names[i]) == 0) return cut->scheme = (GptBlankScheme)i, true;
  return gpt_fail(env, "pre_tokenizer Metaspace: prepend_scheme always, first or never expected");
}

static bool add_metaspace(GptEnv *env, GptCuts *cuts, const cJSON *value) {
  const char *mark = gpt_json_text(value, "replacement");
  GptCut *cut = gpt_cuts_add(env, cuts, GPT_CUT_BLANKS);
  if (cut == NULL) return false;
  if (mark == NULL || mark[0] == '\0' || strlen(mark) > GPT_MARK_BYTES)
    return gpt_fail(env, "pre_tokenizer Metaspace: replacement: a string of 1 to %d bytes expected", GPT_MARK_BYTES);
  cut->mark_length = strlen(strcpy(cut->mark, mark));
  if (!read_scheme(env, cut, value)) return false;
  if (cJSON_IsFalse(gpt_json_field(value, "split"))) return true;
  cut = gpt_cuts_add(env, cuts, GPT_CUT_REGEX);
  if (cut == NULL) return false;
  cut->behavior = GPT_CUT_MERGED_WITH_NEXT;
  cut->regex = gpt_regex_new(env, mark, strlen(mark), true);
  return cut->regex != NULL;
}

static bool read_one(GptEnv *env, GptCuts *cuts, const cJSON *value, bool *byte_level) {
  if (gpt_json_is_type(value, "ByteLevel")) {
    *byte_level = true;
    return add_byte_level(env, cuts, value);
  }
  if (*byte_level) return gpt_refuse_type(env, "after ByteLevel, pre_tokenizer", value, "nothing");
  if (gpt_json_is_type(value, "Split")) return add_split(env, cuts, value);
  if (gpt_json_is_type(value, "Digits")) return add_digits(env, cuts, value);
  if (gpt_json_is_type(value, "Metaspace")) return add_metaspace(env, cuts, value);
  if (gpt_json_is_type(value, "Whitespace")) return add_pattern(env, cuts, NULL, WORDS_AND_SIGNS, GPT_CUT_REMOVED,
                                                                true);
  if (gpt_json_is_type(value, "WhitespaceSplit")) return add_pattern(env, cuts, NULL, "\\s+", GPT_CUT_REMOVED, false);
  if (gpt_json_is_type(value, "Punctuation"))
    return add_pattern(env, cuts, value, "[\\p{P}$+<=>^`|~]", GPT_CUT_ISOLATED, false);
  return gpt_refuse_type(env, "pre_tokenizer", value,
                         "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit, Metaspace or Sequence");
}

static bool read_nested(GptEnv *env, GptCuts *cuts, const cJSON *value, bool *byte_level, int depth) {
  const cJSON *each;
  if (gpt_json_is_missing(value)) return true;
  if (!gpt_json_is_type(value, "Sequence")) return read_one(env, cuts, value, byte_level);
  if (depth == 0) return gpt_fail(env, "pre_tokenizer: sequences lie more than %d deep", DEEPEST);
  cJSON_ArrayForEach(each, gpt_json_field(value, "pretokenizers"))
    if (!read_nested(env, cuts, each, byte_level, depth - 1)) return false;
  return true;
}

bool gpt_read_pre_tokenizer(GptEnv *env, GptCuts *cuts, const cJSON *value, bool *byte_level) {
  return read_nested(env, cuts, value, byte_level, DEEPEST);
}
