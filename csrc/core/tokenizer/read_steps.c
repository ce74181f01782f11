/* tokenizer.json's description of what is done to a text: normalizers, decoders, the way of merging. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

#define DEEPEST 8 /* sequences within sequences */

const cJSON *gpt_json_field(const cJSON *object, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(object, key);
}

bool gpt_json_is_missing(const cJSON *value) { return value == NULL || cJSON_IsNull(value); }

const char *gpt_json_type(const cJSON *value) {
  const char *type = cJSON_GetStringValue(gpt_json_field(value, "type"));
  return type != NULL ? type : "null";
}

bool gpt_json_is_type(const cJSON *value, const char *type) { return strcmp(gpt_json_type(value), type) == 0; }

bool gpt_refuse_type(GptEnv *env, const char *what, const cJSON *value, const char *expected) {
  char quoted[GPT_QUOTE_SIZE];
  const char *type = gpt_json_type(value);
  return gpt_fail(env, "%s %s is not supported: %s expected", what, gpt_quote(type, strlen(type), quoted), expected);
}

const char *gpt_json_text(const cJSON *value, const char *key) {
  return cJSON_GetStringValue(gpt_json_field(value, key));
}

GptRegex *gpt_read_pattern(GptEnv *env, const cJSON *value) {
  const char *regex = gpt_json_text(value, "Regex"), *literal = gpt_json_text(value, "String");
  const char *text = regex != NULL ? regex : literal;
  if (text == NULL) return gpt_fail_null(env, "\"pattern\" needs \"Regex\" or \"String\" (a string)");
  return gpt_regex_new(env, text, strlen(text), regex == NULL);
}

static bool read_replace(GptEnv *env, GptNormalizer *step, const cJSON *value) {
  const char *content = gpt_json_text(value, "content");
  if (content == NULL) return gpt_fail(env, "normalizer Replace: \"content\" (a string) is missing");
  step->pattern = gpt_read_pattern(env, gpt_json_field(value, "pattern"));
  if (step->pattern == NULL) return gpt_fail_at(env, "normalizer Replace");
  return gpt_normalizer_set_content(env, step, content, strlen(content));
}

static bool fill_normalizer(GptEnv *env, GptNormalizer *step, const cJSON *value) {
  const char *prepend = gpt_json_text(value, "prepend");
  switch (step->kind) {
    case GPT_NORMALIZE_REPLACE: return read_replace(env, step, value);
    case GPT_NORMALIZE_PREPEND:
      if (prepend == NULL) return gpt_fail(env, "normalizer Prepend: \"prepend\" (a string) is missing");
      return gpt_normalizer_set_content(env, step, prepend, strlen(prepend));
    case GPT_NORMALIZE_STRIP:
      step->left = !cJSON_IsFalse(gpt_json_field(value, "strip_left"));
      step->right = !cJSON_IsFalse(gpt_json_field(value, "strip_right"));
      return true;
    default: return true;
  }
}

static bool read_normalizer(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value, int depth) {
  static const char *const types[] = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "Prepend", "Replace"};
  const cJSON *each;
  if (gpt_json_is_missing(value)) return true;
  if (gpt_json_is_type(value, "Sequence")) {
    if (depth == 0) return gpt_fail(env, "normalizer: sequences lie more than %d deep", DEEPEST);
    cJSON_ArrayForEach(each, gpt_json_field(value, "normalizers"))
      if (!read_normalizer(env, tokenizer, each, depth - 1)) return false;
    return true;
  }
  for (int kind = 0; kind <= GPT_NORMALIZE_REPLACE; kind++) {
    if (!gpt_json_is_type(value, types[kind])) continue;
    GptNormalizer *step = gpt_normalizers_add(env, &tokenizer->normalizers, (GptNormalizerKind)kind);
    return step != NULL && fill_normalizer(env, step, value);
  }
  return gpt_refuse_type(env, "normalizer", value,
                         "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace or Sequence");
}

/* Which steps a decoder has had so far. */
typedef struct DecoderSteps {
  GptDecoder *decoder;
  bool fused, byte_level, any;
} DecoderSteps;

static bool copy_short(GptEnv *env, char *to, size_t *length, const char *text, const char *what) {
  size_t n = text != NULL ? strlen(text) : 0;
  if (text == NULL || n > GPT_DECODER_BYTES)
    return gpt_fail(env, "decoder %s: a string of at most %d bytes expected", what, GPT_DECODER_BYTES);
  memcpy(to, text, n + 1);
  *length = n;
  return true;
}

static bool read_decoder_replace(GptEnv *env, GptDecoder *d, const cJSON *value) {
  if (d->from_length != 0) return gpt_fail(env, "decoder Replace: only one is supported");
  if (!copy_short(env, d->from, &d->from_length, gpt_json_text(gpt_json_field(value, "pattern"), "String"),
                  "Replace: pattern") ||
      !copy_short(env, d->to, &d->to_length, gpt_json_text(value, "content"), "Replace: content"))
    return false;
  return d->from_length > 0 || gpt_fail(env, "decoder Replace: the pattern is empty");
}

static bool read_decoder_strip(GptEnv *env, const DecoderSteps *steps, const cJSON *value) {
  const char *content = gpt_json_text(value, "content");
  int64_t start = gpt_json_whole(gpt_json_field(value, "start"), 16), stop = gpt_json_whole(gpt_json_field(value,
      "stop"), 0);
  if (!steps->fused || content == NULL || strcmp(content, " ") != 0 || start < 0 || stop != 0)
    return gpt_fail(env, "decoder Strip: only blanks at the start, after Fuse, are supported");
  steps->decoder->strip = (size_t)start;
  return true;
}

/* Whether a text begins with a mark that decoding leaves out. */
static bool has_prefix(const cJSON *value) {
  const char *scheme = gpt_json_text(value, "prepend_scheme");
  if (scheme != NULL) return strcmp(scheme, "never") != 0;
  return !cJSON_IsFalse(gpt_json_field(value, "add_prefix_space"));
}

static bool read_decoder_metaspace(GptEnv *env, GptDecoder *d, const cJSON *value) {
  if (!copy_short(env, d->from, &d->from_length, gpt_json_text(value, "replacement"), "Metaspace: replacement"))
      return false;
  if (d->from_length == 0) return gpt_fail(env, "decoder Metaspace: the replacement is empty");
  d->to_length = 1;
  strcpy(d->to, " ");
  d->strip_first = has_prefix(value);
  return true;
}

static bool read_decoder_step(GptEnv *env, DecoderSteps *steps, const cJSON *value) {
  steps->any = true;
  if (gpt_json_is_type(value, "ByteLevel")) return steps->byte_level = true;
  if (gpt_json_is_type(value, "Fuse")) return steps->fused = true;
  if (gpt_json_is_type(value, "ByteFallback")) return steps->decoder->bytes = true;
  if (gpt_json_is_type(value, "Replace")) return read_decoder_replace(env, steps->decoder, value);
  if (gpt_json_is_type(value, "Strip")) return read_decoder_strip(env, steps, value);
  if (gpt_json_is_type(value, "Metaspace")) return read_decoder_metaspace(env, steps->decoder, value);
  return gpt_refuse_type(env, "decoder", value, "ByteLevel, Replace, ByteFallback, Fuse, Strip, Metaspace or Sequence");
}

static bool read_decoder_steps(GptEnv *env, DecoderSteps *steps, const cJSON *value, int depth) {
  const cJSON *each;
  if (gpt_json_is_missing(value)) return true;
  if (!gpt_json_is_type(value, "Sequence")) return read_decoder_step(env, steps, value);
  if (depth == 0) return gpt_fail(env, "decoder: sequences lie more than %d deep", DEEPEST);
  cJSON_ArrayForEach(each, gpt_json_field(value, "decoders"))
    if (!read_decoder_steps(env, steps, each, depth - 1)) return false;
  return true;
}

/* The decoder must undo what the pre-tokenizers do: the byte alphabet, or marks for blanks. */
static bool read_whole_decoder(GptEnv *env, GptTokenizer *tokenizer, const cJSON *value, bool byte_level) {
  DecoderSteps steps = {.decoder = &tokenizer->decoder};
  if (!read_decoder_steps(env, &steps, value, DEEPEST)) return false;
  steps.decoder->added_too = true;
  if (byte_level && steps.any && !steps.byte_level) return gpt_refuse_type(env, "decoder", value, "ByteLevel");
  if (!byte_level && (steps.byte_level || !steps.any))
    return gpt_refuse_type(env, "decoder", value, "Replace, ByteFallback, Fuse, Strip or Metaspace");
  return true;
}

static bool is_empty(const cJSON *value) {
  const char *text = cJSON_GetStringValue(value);
  return gpt_json_is_missing(value) || cJSON_IsFalse(value) || (text != NULL && text[0] == '\0') ||
         (cJSON_IsNumber(value) && value->valuedouble == 0);
}

static bool read_model(GptEnv *env, GptTokenizer *tokenizer, const cJSON *model) {
  static const char *const unsupported[] = {"dropout", "continuing_subword_prefix", "end_of_word_suffix"};
  if (gpt_json_field(model, "type") != NULL && !gpt_json_is_type(model, "BPE"))
    return gpt_refuse_type(env, "model", model, "BPE");
  for (int i = 0; i < 3; i++)
    if (!is_empty(gpt_json_field(model, unsupported[i]))) return gpt_fail(env, "model: %s is not supported",
                                                                          unsupported[i]);
  tokenizer->byte_fallback = cJSON_IsTrue(gpt_json_field(model, "byte_fallback"));
  tokenizer->fuse_unknown = cJSON_IsTrue(gpt_json_field(model, "fuse_unk"));
  tokenizer->ignore_merges = cJSON_IsTrue(gpt_json_field(model, "ignore_merges"));
  return true;
}

bool gpt_read_steps(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  bool byte_level = false;
  const cJSON *pre = gpt_json_field(json, "pre_tokenizer");
  if (!read_model(env, tokenizer, gpt_json_field(json, "model"))) return false;
  if (!read_normalizer(env, tokenizer, gpt_json_field(json, "normalizer"), DEEPEST)) return false;
  if (!gpt_read_pre_tokenizer(env, &tokenizer->cuts, pre, &byte_level)) return false;
  tokenizer->characters = tokenizer->vocabulary.raw = !byte_level;
  return read_whole_decoder(env, tokenizer, gpt_json_field(json, "decoder"), byte_level) &&
         gpt_settings_keep(env, &tokenizer->settings, json);
}
