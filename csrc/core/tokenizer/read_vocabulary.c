/* vocab.json and merges.txt. */
#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

bool gpt_read_vocabulary(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json) {
  char quoted[GPT_QUOTE_SIZE];
  const cJSON *entry;
  if (!cJSON_IsObject(json)) return gpt_fail(env, "an object of tokens and their ids expected");
  tokenizer->vocabulary.listed = (size_t)cJSON_GetArraySize(json);
  cJSON_ArrayForEach(entry, json) {
    const char *text = entry->string;
    int64_t id = gpt_json_whole(entry, GPT_MOST_TOKENS - 1);
    if (id < 0)
      return gpt_fail(env, "the id of the token %s is not a whole number from 0 to %lld",
                      gpt_quote(text, strlen(text), quoted), (long long)GPT_MOST_TOKENS - 1);
    if (!gpt_vocabulary_add_spelled(env, &tokenizer->vocabulary, id, text, strlen(text), GPT_TOKEN_MODEL)) return false;
  }
  return true;
}

/* The id of a token that a merge names, or -1 and a message. */
static int64_t find_named(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t n) {
  char quoted[GPT_QUOTE_SIZE];
  int64_t id = gpt_vocabulary_find_spelled(env, &tokenizer->vocabulary, text, n);
  if (id == -1) gpt_fail(env, "the token %s is not in the vocabulary", gpt_quote(text, n, quoted));
  return id;
}

bool gpt_read_merge(GptEnv *env, GptTokenizer *tokenizer, const char *left, size_t left_length, const char *right,
                    size_t right_length) {
  char a[GPT_QUOTE_SIZE], b[GPT_QUOTE_SIZE];
  int64_t first = find_named(env, tokenizer, left, left_length);
  int64_t second = first < 0 ? -1 : find_named(env, tokenizer, right, right_length);
  if (first >= 0 && second >= 0 && gpt_tokenizer_add_merge(env, tokenizer, first, second)) return true;
  return gpt_fail_at(env, "merge of %s and %s", gpt_quote(left, left_length, a), gpt_quote(right, right_length, b));
}

/* One line, without its end: two tokens with a space between. */
static bool read_line(GptEnv *env, GptTokenizer *tokenizer, size_t number, const char *line, size_t n) {
  char quoted[GPT_QUOTE_SIZE];
  const char *space = memchr(line, ' ', n), *end = line + n;
  if (space == NULL || space == line || space + 1 == end || memchr(space + 1, ' ', (size_t)(end - space - 1)) != NULL)
    return gpt_fail(env, "line %zu: two tokens with a space between expected, got %s", number,
                    gpt_quote(line, n, quoted));
  if (gpt_read_merge(env, tokenizer, line, (size_t)(space - line), space + 1, (size_t)(end - space - 1))) return true;
  return gpt_fail_at(env, "line %zu", number);
}

/* Tokens that merging cannot make, though they look as if it should. */
static size_t count_unmade(const GptTokenizer *tokenizer, size_t made) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  size_t longer = 0;
  for (size_t id = 0; id < v->size; id++)
    longer += (v->tokens[id].flags & GPT_TOKEN_MODEL) != 0 && v->tokens[id].length > 1;
  return longer > made ? longer - made : 0;
}

/* A cut in the list of merges leaves tokens that no merge makes. A few are usual: special tokens, which are only
   marked as such elsewhere. */
static bool check_complete(GptEnv *env, const GptTokenizer *tokenizer, bool line_ended) {
  size_t made = tokenizer->merges.count, unmade = count_unmade(tokenizer, made);
  if (unmade <= made / 16 + 16 && (line_ended || unmade <= 1)) return true;
  return gpt_fail(env, "the file seems cut short: no merge makes %zu of the vocabulary's tokens", unmade);
}

bool gpt_read_merges(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t size) {
  size_t number = 1;
  for (size_t at = 0; at < size; number++) {
    const char *line = text + at, *end = memchr(line, '\n', size - at);
    size_t n = end != NULL ? (size_t)(end - line) : size - at;
    at += n + 1;
    if (n > 0 && line[n - 1] == '\r') n--;
    if (n == 0 && at >= size) break;
    if (number == 1 && n >= 8 && memcmp(line, "#version", 8) == 0) continue;
    if (!read_line(env, tokenizer, number, line, n)) return false;
  }
  return check_complete(env, tokenizer, size == 0 || text[size - 1] == '\n');
}
