#include "core/tokenizer/normalize.h"

#include <string.h>
#include <utf8proc.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"

/* utf8proc's options for one of the four forms. */
static int options_of(GptNormalizerKind kind) {
  bool composed = kind == GPT_NORMALIZE_NFC || kind == GPT_NORMALIZE_NFKC;
  bool compatible = kind == GPT_NORMALIZE_NFKC || kind == GPT_NORMALIZE_NFKD;
  return UTF8PROC_STABLE | (composed ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (compatible ? UTF8PROC_COMPAT : 0);
}

void gpt_normalizers_free(GptEnv *env, GptNormalizers *normalizers) {
  for (size_t i = 0; i < normalizers->count; i++) {
    gpt_regex_free(env, normalizers->list[i].pattern);
    gpt_free(env, normalizers->list[i].content);
    gpt_free(env, normalizers->list[i].inert);
  }
  for (int i = 0; i < 2; i++) gpt_free(env, normalizers->spaces[i].data);
  *normalizers = (GptNormalizers){0};
}

/* Whether a character, which the form leaves as it is, may change with what stands before it. */
static bool may_compose(int32_t code, const uint8_t *seconds) {
  return utf8proc_get_property(code)->combining_class != 0 || (seconds[code >> 3] >> (code & 7) & 1) != 0 ||
         (code >= 0x1161 && code <= 0x1175) || (code >= 0x11a8 && code <= 0x11c2);
}

/* Marks every character that is a later part of some decomposition: composition may take it. */
static void mark_seconds(uint8_t *seconds) {
  for (int32_t code = 0xc0; code < GPT_CLASSES_END; code++) {
    utf8proc_int32_t parts[32];
    int boundary = 0;
    utf8proc_ssize_t count = utf8proc_decompose_char(code, parts, 32, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, &boundary);
    for (utf8proc_ssize_t i = 1; i < count && i < 32; i++)
      if (parts[i] < GPT_CLASSES_END) seconds[parts[i] >> 3] |= (uint8_t)(1 << (parts[i] & 7));
  }
}

static bool is_form_of_itself(int32_t code, GptNormalizerKind kind) {
  utf8proc_int32_t parts[32];
  int boundary = 0;
  utf8proc_option_t options = (utf8proc_option_t)options_of(kind);
  utf8proc_ssize_t count = utf8proc_decompose_char(code, parts, 32, options, &boundary);
  if (count > 1 && count <= 32) count = utf8proc_normalize_utf32(parts, count, options);
  return count == 1 && parts[0] == code;
}

static bool make_inert(GptEnv *env, GptNormalizer *step) {
  step->inert = gpt_alloc_zeroed(env, GPT_CLASSES_END / 8);
  uint8_t *seconds = step->inert != NULL ? gpt_alloc_zeroed(env, GPT_CLASSES_END / 8 + 1) : NULL;
  if (seconds == NULL) return false;
  mark_seconds(seconds);
  for (int32_t code = 0; code < GPT_CLASSES_END; code++)
    if (is_form_of_itself(code, step->kind) && !may_compose(code, seconds))
      step->inert[code >> 3] |= (uint8_t)(1 << (code & 7));
  gpt_free(env, seconds);
  return true;
}

GptNormalizer *gpt_normalizers_add(GptEnv *env, GptNormalizers *normalizers, GptNormalizerKind kind) {
  if (normalizers->count == GPT_MOST_NORMALIZERS)
    return gpt_fail_null(env, "more than %d normalizers", GPT_MOST_NORMALIZERS);
  GptNormalizer *step = &normalizers->list[normalizers->count++];
  *step = (GptNormalizer){.kind = kind};
  for (int i = 0; i < 2; i++)
    if (normalizers->spaces[i].env == NULL) gpt_text_init(&normalizers->spaces[i], env);
  return kind > GPT_NORMALIZE_NFKD || make_inert(env, step) ? step : NULL;
}

bool gpt_normalizer_set_content(GptEnv *env, GptNormalizer *step, const char *content, size_t n) {
  step->content = gpt_alloc(env, n + 1);
  if (step->content == NULL) return false;
  memcpy(step->content, content, n);
  step->content[n] = '\0';
  step->length = n;
  return true;
}

static bool may_grow(GptEnv *env, const GptBudget *budget, size_t bytes) {
  return gpt_budget_check(env, budget, bytes, "normalizers");
}

static inline bool is_inert(const GptNormalizer *step, uint32_t code) {
  return code < GPT_CLASSES_END && (step->inert[code >> 3] >> (code & 7) & 1) != 0;
}

/* The characters of one text while they are put into a form. */
typedef struct Decomposed {
  GptEnv *env;
  const GptBudget *budget;
  utf8proc_int32_t *codes; /* [count] */
  size_t count, capacity;
} Decomposed;

static bool decompose(Decomposed *d, const GptNormalizer *step, const uint8_t *text, size_t n) {
  uint32_t code = 0;
  int boundary = 0;
  for (size_t at = 0; at < n; at += gpt_utf8_decode(text + at, n - at, &code)) {
    gpt_utf8_decode(text + at, n - at, &code);
    if (!may_grow(d->env, d->budget, d->count) || !GPT_GROW(d->env, d->codes, d->capacity, d->count, 32)) return false;
    utf8proc_ssize_t more = utf8proc_decompose_char((utf8proc_int32_t)code, d->codes + d->count, 32,
                                                    (utf8proc_option_t)options_of(step->kind), &boundary);
    if (more < 0 || more > 32) return gpt_fail(d->env, "U+%04X does not decompose", code);
    d->count += (size_t)more;
  }
  return true;
}

static int class_of_mark(utf8proc_int32_t code) { return utf8proc_get_property(code)->combining_class; }

/* Puts a run of marks into the order of their classes; those of one class stay as they are. Two passes by counting:
   a text may be marks alone. */
static bool order_run(Decomposed *d, size_t first, size_t end) {
  size_t places[256] = {0}, next = 0;
  utf8proc_int32_t *copy = gpt_alloc_array(d->env, end - first, sizeof *copy);
  if (copy == NULL) return false;
  memcpy(copy, d->codes + first, (end - first) * sizeof *copy);
  for (size_t i = first; i < end; i++) places[class_of_mark(d->codes[i]) & 255]++;
  for (int class = 0; class < 256; class++) {
    size_t count = places[class];
    places[class] = next;
    next += count;
  }
  for (size_t i = 0; i < end - first; i++) d->codes[first + places[class_of_mark(copy[i]) & 255]++] = copy[i];
  gpt_free(d->env, copy);
  return true;
}

static bool order_marks(Decomposed *d) {
  for (size_t at = 0, end; at < d->count; at = end) {
    for (end = at; end < d->count && class_of_mark(d->codes[end]) != 0;) end++;
    if (end - at > 1 && !order_run(d, at, end)) return false;
    if (end == at) end++;
  }
  return true;
}

static void add_codes(const Decomposed *d, size_t count, GptText *out) {
  uint8_t bytes[4];
  for (size_t i = 0; i < count; i++) {
    utf8proc_ssize_t size = utf8proc_encode_char(d->codes[i], bytes);
    gpt_text_add_bytes(out, (const char *)bytes, (size_t)size);
  }
}

/* Appends text that is UTF-8 in a form. */
static bool add_form(GptEnv *env, const GptNormalizer *step, const GptBudget *budget, const uint8_t *text, size_t n,
                     GptText *out) {
  Decomposed d = {.env = env, .budget = budget};
  bool good = decompose(&d, step, text, n) && order_marks(&d);
  utf8proc_ssize_t count = (utf8proc_ssize_t)d.count;
  if (good && (options_of(step->kind) & UTF8PROC_COMPOSE) != 0)
    count = utf8proc_normalize_utf32(d.codes, count, (utf8proc_option_t)options_of(step->kind));
  if (good) add_codes(&d, (size_t)(count < 0 ? 0 : count), out);
  gpt_free(env, d.codes);
  return good && may_grow(env, budget, out->length);
}

/* Copies inert characters, and maps what lies between two of them, together with the first: it may compose. */
static bool normalize_form(GptEnv *env, const GptNormalizer *step, const GptBudget *budget, const uint8_t *text,
                           size_t n, GptText *out) {
  uint32_t code;
  size_t copied = 0, last = 0; /* where the last inert character begins; what is before `copied` is out */
  for (size_t at = 0, length; at < n;) {
    length = gpt_utf8_decode(text + at, n - at, &code);
    if (length == 0 || is_inert(step, code)) {
      last = at;
      at += length == 0 ? 1 : length;
      if (length == 0) last = at;
      continue;
    }
    size_t end = at;
    while (end < n && (length = gpt_utf8_decode(text + end, n - end, &code)) != 0 && !is_inert(step, code))
        end += length;
    gpt_text_add_bytes(out, (const char *)text + copied, last - copied);
    if (!add_form(env, step, budget, text + last, end - last, out)) return false;
    copied = last = at = end;
  }
  gpt_text_add_bytes(out, (const char *)text + copied, n - copied);
  return true;
}

uint32_t gpt_character_lower(uint32_t code) { return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code); }

uint32_t gpt_character_title(uint32_t code) { return (uint32_t)utf8proc_totitle((utf8proc_int32_t)code); }

int gpt_character_width(uint32_t code) { return utf8proc_charwidth((utf8proc_int32_t)code); }

/* As Unicode lowers a character by itself; the one that becomes two is listed, and a final sigma is one of its own. */
static void normalize_lower(const uint8_t *text, size_t n, GptText *out) {
  for (size_t at = 0, length; at < n; at += length) {
    uint32_t code;
    uint8_t bytes[4];
    length = gpt_utf8_decode(text + at, n - at, &code);
    if (length == 0) {
      gpt_text_add_bytes(out, (const char *)text + at, length = 1);
    } else if (code == 0x130) {
      gpt_text_add_bytes(out, "i\xcc\x87", 3);
    } else {
      utf8proc_ssize_t size = utf8proc_encode_char((utf8proc_int32_t)gpt_character_lower(code), bytes);
      gpt_text_add_bytes(out, (const char *)bytes, (size_t)size);
    }
  }
}

static bool normalize_replace(GptEnv *env, const GptNormalizer *step, GptBudget *budget, const uint8_t *text, size_t n,
                              GptText *out) {
  GptMatch match = {0};
  for (size_t at = 0;; at = match.end) {
    if (!gpt_regex_next(env, step->pattern, budget, text, n, &match)) return false;
    if (!may_grow(env, budget, out->length)) return false;
    gpt_text_add_bytes(out, (const char *)text + at, match.start - at);
    if (!match.found) return true;
    gpt_text_add_bytes(out, step->content, step->length);
  }
}

static void normalize_strip(const GptNormalizer *step, const GptClasses *classes, const uint8_t *text, size_t n,
                            GptText *out) {
  size_t first = step->left ? gpt_scan_space_after(classes, text, 0, n) : 0;
  size_t last = step->right ? gpt_scan_space_start(classes, text, first, n) : n;
  gpt_text_add_bytes(out, (const char *)text + first, last - first);
}

static bool normalize_step(GptEnv *env, const GptNormalizer *step, const GptClasses *classes, GptBudget *budget,
                           const uint8_t *text, size_t n, GptText *out) {
  switch (step->kind) {
    case GPT_NORMALIZE_LOWERCASE: normalize_lower(text, n, out); break;
    case GPT_NORMALIZE_STRIP: normalize_strip(step, classes, text, n, out); break;
    case GPT_NORMALIZE_REPLACE: return normalize_replace(env, step, budget, text, n, out);
    case GPT_NORMALIZE_PREPEND:
      if (n > 0) gpt_text_add_bytes(out, step->content, step->length);
      gpt_text_add_bytes(out, (const char *)text, n);
      break;
    default: return normalize_form(env, step, budget, text, n, out);
  }
  return true;
}

bool gpt_normalize(GptEnv *env, GptNormalizers *normalizers, const GptClasses *classes, GptBudget *budget,
                   const uint8_t **text, size_t *n) {
  for (size_t i = 0; i < normalizers->count; i++) {
    GptText *out = &normalizers->spaces[i & 1];
    out->length = 0;
    gpt_text_add_bytes(out, "", 0);
    if (!normalize_step(env, &normalizers->list[i], classes, budget, *text, *n, out) || out->failed)
      return out->failed = false;
    if (!gpt_budget_take(env, budget, out->length, "normalizers")) return false;
    *text = (const uint8_t *)out->data;
    *n = out->length;
  }
  return true;
}
