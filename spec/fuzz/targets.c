/* The targets that read by functions of the core alone. */
#include <stdlib.h>
#include <string.h>

#include "core/base/memory.h"
#include "core/io/json.h"
#include "core/io/mapped_file.h"
#include "core/tokenizer/gguf.h"
#include "core/tokenizer/regex.h"
#include "core/train/token_file.h"
#include "fuzz.h"

/* Bytes that are written again and again so that the sanitizers look at all of them. */
static void touch(const void *bytes, size_t size) {
  volatile uint8_t sum = 0;
  for (size_t i = 0; i < size; i++) sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
}

/* A text of n bytes in a block of its own, so that a byte read behind it is seen. A zero follows, which callers may
   leave out. */
static char *copy_text(GptEnv *env, const uint8_t *bytes, size_t size) {
  char *text = gpt_alloc(env, size + 1);
  if (text == NULL) abort();
  if (size > 0) memcpy(text, bytes, size);
  text[size] = '\0';
  return text;
}

/* What is read is written, and reads as the same text again. */
static void write_json(GptEnv *env, const cJSON *json, GptText *out) {
  gpt_text_init(out, env);
  gpt_json_add(out, json);
  if (out->failed) fuzz_found("a document that was read cannot be written");
}

static bool run_json(GptEnv *env, const FuzzInput *input) {
  char *text = copy_text(env, input->data, input->size);
  cJSON *json = gpt_json_parse(env, "text", text, input->size);
  gpt_free(env, text);
  if (json == NULL) return false;
  GptText first, second;
  write_json(env, json, &first);
  gpt_json_free(env, json);
  json = gpt_json_parse(env, "text", first.data, first.length);
  if (json == NULL) fuzz_found("what was written is no JSON: %s", first.data);
  write_json(env, json, &second);
  gpt_json_free(env, json);
  if (strcmp(first.data, second.data) != 0) fuzz_found("%s became %s", first.data, second.data);
  gpt_text_free(&first);
  gpt_text_free(&second);
  return true;
}

static void walk_value(const GptGgufValue *value) {
  int64_t integer;
  double number;
  gpt_gguf_integer(value, &integer);
  gpt_gguf_float(value, &number);
  if (value->type == GPT_GGUF_STRING) touch(value->bytes, value->count);
  if (value->type != GPT_GGUF_ARRAY) return;
  const char *at = value->bytes;
  for (uint64_t i = 0; i < value->count; i++) {
    GptGgufValue item = gpt_gguf_next(value->item, &at);
    walk_value(&item);
  }
}

/* An encoding that is not implemented is an error by name, and no fault of the file's. */
static bool walk_tensor(GptEnv *env, const GptGguf *gguf, size_t number, bool view) {
  GptTensor *tensor = gpt_gguf_tensor(env, gguf, number, view);
  if (tensor == NULL) return false;
  GptTensor *copy = gpt_tensor_convert(env, tensor, tensor->storage->dtype == GPT_I64 ? GPT_I64 : GPT_F32);
  gpt_tensor_release(tensor);
  if (copy == NULL) return false;
  touch(gpt_tensor_data(copy), (size_t)gpt_tensor_numel(copy) * (copy->storage->dtype == GPT_I64 ? 8 : 4));
  gpt_tensor_release(copy);
  return true;
}

static bool walk_gguf(GptEnv *env, const GptGguf *gguf) {
  for (size_t i = 0; i < gguf->key_count; i++) {
    touch(gguf->keys[i].name.bytes, gguf->keys[i].name.count);
    walk_value(&gguf->keys[i].value);
  }
  for (size_t i = 0; i < gguf->tensor_count; i++)
    if (!walk_tensor(env, gguf, i, true) || !walk_tensor(env, gguf, i, false)) return false;
  return true;
}

static bool run_gguf(GptEnv *env, const FuzzInput *input) {
  GptGguf *gguf = gpt_gguf_open(env, input->path);
  if (gguf == NULL) return false;
  bool good = walk_gguf(env, gguf);
  gpt_gguf_close(gguf);
  return good;
}

static const char *const samples[] = {
    "Hello, world! It's 2024, isn't it?\n\n  indented\ttabs  \r\n", "<s>[INST] <|im_start|>user<|endoftext|> </s>",
    "caf\xC3\xA9 \xE4\xBD\xA0\xE5\xA5\xBD \xF0\x9F\x99\x82 A\xCC\x8A\xE2\x80\x94 \xEF\xAC\x81 \xE2\x96\x81x", "aaaaaaaaaaaaaaaaaaaaaaaab",
    "\xFF\xC3(\xED\xA0\x80\x80 no text", "0123456789 12.5e-7 x_1 __init__", "", " ", NULL};

/* Encodes and decodes; the ids are the caller's. */
static bool use_tokenizer(GptEnv *env, GptTokenizer *tokenizer, const char *text, GptIds *ids) {
  size_t bytes;
  if (!gpt_tokenizer_encode(env, tokenizer, text, strlen(text), (GptMarks){.count = true}, ids)) return false;
  for (size_t i = 0; i < ids->length; i++)
    if (ids->data[i] < 0 || (size_t)ids->data[i] >= gpt_tokenizer_size(tokenizer))
      fuzz_found("id %lld of %zu", (long long)ids->data[i], gpt_tokenizer_size(tokenizer));
  if (!gpt_tokenizer_decoded_size(env, tokenizer, ids->data, ids->length, false, &bytes)) return false;
  char *out = gpt_alloc(env, bytes);
  if (out == NULL) return false;
  gpt_tokenizer_decode(tokenizer, ids->data, ids->length, false, out);
  touch(out, bytes);
  gpt_free(env, out);
  return true;
}

/* Texts have the same ids in what was written and read again. */
static bool compare(GptEnv *env, GptTokenizer *a, GptTokenizer *b) {
  bool good = true;
  for (int i = 0; samples[i] != NULL && good; i++) {
    GptIds ours, theirs;
    gpt_ids_init(&ours, env), gpt_ids_init(&theirs, env);
    good = use_tokenizer(env, a, samples[i], &ours) && (b == NULL || use_tokenizer(env, b, samples[i], &theirs));
    bool same = ours.length == theirs.length &&
                (ours.length == 0 || memcmp(ours.data, theirs.data, ours.length * sizeof *ours.data) == 0);
    if (good && b != NULL && !same) fuzz_found("saved and loaded, the ids of '%s' are others", samples[i]);
    gpt_ids_free(&ours), gpt_ids_free(&theirs);
  }
  return good;
}

static bool save_and_compare(GptEnv *env, GptTokenizer *tokenizer) {
  char dir[300];
  strcpy(dir, fuzz_directory());
  strcat(dir, "/saved");
  if (!gpt_tokenizer_save(env, tokenizer, dir)) return false;
  GptTokenizer *again = gpt_tokenizer_load(env, dir);
  if (again == NULL) fuzz_found("what was saved does not load: %s", env->error);
  bool good = compare(env, tokenizer, again);
  gpt_tokenizer_free(env, again);
  return good;
}

/* Saving takes a hundred times as long as reading, so one input in sixteen is saved. */
static bool is_chosen(const FuzzInput *input) {
  unsigned sum = 0;
  for (size_t i = 0; i < input->size; i++) sum = sum * 31 + input->data[i];
  return sum % 16 == 0;
}

static bool run_tokenizer(GptEnv *env, const FuzzInput *input) {
  GptTokenizer *tokenizer = gpt_tokenizer_load(env, input->path);
  if (tokenizer == NULL) return false;
  bool good = compare(env, tokenizer, NULL) && (!is_chosen(input) || save_and_compare(env, tokenizer));
  gpt_tokenizer_free(env, tokenizer);
  return good || gpt_fail_at(env, "%s", input->path);
}

static bool use_gguf_tokenizer(GptEnv *env, const GptGguf *gguf) {
  GptTokenizer *tokenizer = gpt_tokenizer_read_gguf(env, gguf);
  if (tokenizer == NULL) return false;
  GptText text;
  gpt_text_init(&text, env);
  gpt_tokenizer_write_gguf(env, tokenizer, gpt_tokenizer_size(tokenizer), &text);
  gpt_text_free(&text);
  bool good = compare(env, tokenizer, NULL);
  gpt_tokenizer_free(env, tokenizer);
  return good || gpt_fail_at(env, "%s", gguf->file->path);
}

static bool run_gguf_tokenizer(GptEnv *env, const FuzzInput *input) {
  GptGguf *gguf = gpt_gguf_open(env, input->path);
  if (gguf == NULL) return false;
  bool good = use_gguf_tokenizer(env, gguf);
  gpt_gguf_close(gguf);
  return good;
}

/* A line with the pattern, then the text. */
static bool run_regex(GptEnv *env, const FuzzInput *input) {
  const uint8_t *line_end = input->size > 0 ? memchr(input->data, '\n', input->size) : NULL;
  size_t length = line_end != NULL ? (size_t)(line_end - input->data) : input->size;
  size_t rest = line_end != NULL ? input->size - length - 1 : 0;
  char *pattern = copy_text(env, input->data, length);
  GptRegex *regex = gpt_regex_new(env, pattern, length, false);
  gpt_free(env, pattern);
  if (regex == NULL) return false;
  uint8_t *text = (uint8_t *)copy_text(env, line_end != NULL ? line_end + 1 : NULL, rest);
  GptMatch match = {.found = false};
  GptBudget budget = gpt_budget_of(rest);
  bool good;
  size_t last = 0;
  for (;;) {
    good = gpt_regex_next(env, regex, &budget, text, rest, &match);
    if (!good || !match.found) break;
    if (match.start < last || match.end < match.start || match.end > rest) fuzz_found("a match outside the text");
    last = match.end;
  }
  gpt_free(env, text);
  gpt_regex_free(env, regex);
  return good;
}

static bool read_windows(GptEnv *env, const GptTokens *tokens, int64_t length) {
  int64_t shape[2] = {1, length}, last = tokens->count - length - 1;
  if (length < 1 || last < 0) return true;
  GptTensor *ids = gpt_tensor_new(env, GPT_I64, 2, shape), *targets = gpt_tensor_new(env, GPT_I64, 2, shape);
  bool good = ids != NULL && targets != NULL;
  if (good) gpt_tokens_windows(tokens, &last, 1, length, ids, targets);
  if (good) touch(gpt_tensor_data(ids), 8 * (size_t)length), touch(gpt_tensor_data(targets), 8 * (size_t)length);
  gpt_tensor_release(ids);
  gpt_tensor_release(targets);
  return good;
}

static bool read_tokens(GptEnv *env, const char *path, int width, bool map) {
  GptTokens *tokens = gpt_tokens_open(env, path, width, map);
  if (tokens == NULL) return false;
  bool good = read_windows(env, tokens, 1) && read_windows(env, tokens, tokens->count - 1);
  gpt_tokens_free(tokens);
  return good;
}

static bool run_tokens(GptEnv *env, const FuzzInput *input) {
  bool good = false;
  for (int i = 0; i < 4; i++) good = read_tokens(env, input->path, i < 2 ? 2 : 4, i % 2 == 0);
  return good;
}

static bool run_journal(GptEnv *env, const FuzzInput *input) {
  GptDirectory *directory = gpt_directory_read(env, input->path);
  if (directory == NULL) return false;
  bool good = gpt_directory_path(directory, "config.json") != NULL;
  gpt_directory_close(directory);
  return good;
}

static const char *const tokenizer_parts[] = {"tokenizer.json", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe",
    "added_tokens.json", "tokenizer_config.json", "special_tokens_map.json", "generation_config.json",
    "chat_template.jinja", NULL};
static const char *const journal_parts[] = {".gpt-save", "config.json", ".config.json.gpt-000000000000000000000000", NULL};

const FuzzTarget fuzz_targets[] = {
    {.name = "json", .run = run_json},
    {.name = "gguf", .file = "input.gguf", .run = run_gguf},
    {.name = "gguf_tokenizer", .file = "input.gguf", .run = run_gguf_tokenizer},
    {.name = "tokenizer_json", .parts = tokenizer_parts, .run = run_tokenizer},
    {.name = "vocab_merges", .parts = tokenizer_parts, .run = run_tokenizer},
    {.name = "regex", .run = run_regex},
    {.name = "tokens", .file = "input.bin", .run = run_tokens},
    {.name = "journal", .parts = journal_parts, .run = run_journal},
    {.name = NULL},
};
