#include "core/tokenizer/vocabulary.h"

#include <string.h>

#include "core/io/json.h"
#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/slots.h"

#define ID_MASK (((uint32_t)1 << 24) - 1)
#define FREE_HOLES ((size_t)1 << 18) /* ids without a token, */
#define HOLES_EACH 15                /* and as many more for each that is there */

void gpt_vocabulary_init(GptVocabulary *vocabulary) {
  *vocabulary = (GptVocabulary){0};
  gpt_alphabet_init(&vocabulary->alphabet);
}

void gpt_vocabulary_free(GptEnv *env, GptVocabulary *vocabulary) {
  gpt_free(env, vocabulary->bytes);
  gpt_free(env, vocabulary->tokens);
  gpt_free(env, vocabulary->slots);
}

const GptToken *gpt_vocabulary_token(const GptVocabulary *v, int64_t id) {
  if (id < 0 || (uint64_t)id >= v->size || v->tokens[id].flags == 0) return NULL;
  return &v->tokens[id];
}

static uint64_t hash_token(const GptVocabulary *v, const uint8_t *bytes, size_t n, bool literal) {
  return gpt_hash_bytes(v->key, bytes, n, 2 * (uint64_t)n + literal);
}

static uint32_t tag_of(uint64_t h) { return (uint32_t)(h >> 32) & ~ID_MASK; }

static bool is_literal(uint32_t flags) { return (flags & GPT_TOKEN_LITERAL) != 0; }

/* The slot of a token, or the empty one where it would go. */
static size_t find_token_slot(const GptVocabulary *v, const uint8_t *bytes, size_t n, bool literal, uint64_t h) {
  size_t mask = v->slot_count - 1, at = (size_t)h & mask;
  for (; v->slots[at] != 0; at = (at + 1) & mask) {
    if ((v->slots[at] & ~ID_MASK) != tag_of(h)) continue;
    const GptToken *token = &v->tokens[(v->slots[at] & ID_MASK) - 1];
    if (token->length == n && is_literal(token->flags) == literal && memcmp(v->bytes + token->start, bytes, n) == 0)
      break;
  }
  return at;
}

static int64_t find_hashed(const GptVocabulary *v, const uint8_t *bytes, size_t n, bool literal, uint64_t h) {
  return (int64_t)(v->slots[find_token_slot(v, bytes, n, literal, h)] & ID_MASK) - 1;
}

int64_t gpt_vocabulary_find(const GptVocabulary *v, const uint8_t *bytes, size_t n, bool literal) {
  return v->slot_count == 0 ? -1 : find_hashed(v, bytes, n, literal, hash_token(v, bytes, n, literal));
}

int64_t gpt_vocabulary_find_beginning(const GptVocabulary *v, GptBeginnings *b, const uint8_t *text, size_t n) {
  if (v->slot_count == 0) return -1;
  if (b->hashed == 0) b->hash = v->key.first;
  for (; n - b->hashed >= GPT_HASH_STEP; b->hashed += GPT_HASH_STEP)
    b->hash = gpt_hash_step(v->key, b->hash, text + b->hashed);
  uint64_t h = gpt_hash_end(v->key, b->hash, text + b->hashed, n - b->hashed, 2 * (uint64_t)n);
  return find_hashed(v, text, n, false, h);
}

static void fill_token_slot(GptVocabulary *v, size_t id) {
  const GptToken *token = &v->tokens[id];
  const uint8_t *bytes = v->bytes + token->start;
  uint64_t h = hash_token(v, bytes, token->length, is_literal(token->flags));
  v->slots[find_token_slot(v, bytes, token->length, is_literal(token->flags), h)] = tag_of(h) | ((uint32_t)id + 1);
}

/* Keeps the hash table at most half full. */
static bool reserve_slot(GptEnv *env, GptVocabulary *v) {
  if ((v->present + 1) * 2 <= v->slot_count) return true;
  size_t count = v->slot_count == 0 ? 1024 : v->slot_count * 4;
  if (v->slot_count == 0) v->key = gpt_hash_key();
  if (!gpt_slots_renew(env, &v->slots, &v->slot_count, count)) return false;
  for (size_t id = 0; id < v->size; id++)
    if (v->tokens[id].flags != 0) fill_token_slot(v, id);
  return true;
}

/* Room for n more bytes behind the last token; there is a place even for none. */
static bool reserve_bytes(GptEnv *env, GptVocabulary *v, size_t n) {
  return GPT_GROW(env, v->bytes, v->room, v->used, n + 1);
}

static bool reserve_id(GptEnv *env, GptVocabulary *v, int64_t id) {
  size_t wanted = (size_t)id + 1;
  if (wanted > v->size && !GPT_GROW(env, v->tokens, v->capacity, v->size, wanted - v->size)) return false;
  while (v->size < wanted) v->tokens[v->size++] = (GptToken){0};
  return true;
}

/* Where the ids of so many tokens end. */
static int64_t ids_end(size_t tokens) {
  const size_t end = FREE_HOLES + (HOLES_EACH + 1) * tokens;
  return end < (size_t)GPT_MOST_TOKENS ? (int64_t)end : GPT_MOST_TOKENS;
}

static bool check_id(GptEnv *env, const GptVocabulary *v, int64_t id, const uint8_t *bytes, size_t n) {
  char token[GPT_QUOTE_SIZE];
  const size_t tokens = v->listed > v->present ? v->listed : v->present + 1;
  const int64_t end = ids_end(tokens);
  if (id >= 0 && id < end) return true;
  return gpt_fail(env, "the token %s has the id %lld: ids of %zu tokens lie from 0 to %lld",
                  gpt_quote((const char *)bytes, n, token), (long long)id, tokens, (long long)end - 1);
}

static bool check_token_length(GptEnv *env, const uint8_t *bytes, size_t n) {
  char token[GPT_QUOTE_SIZE];
  return n <= GPT_MOST_TOKEN_BYTES ||
         gpt_fail(env, "the token %s has %zu bytes; at most %d are allowed", gpt_quote((const char *)bytes, n, token), n,
                  GPT_MOST_TOKEN_BYTES);
}

static bool fail_same_id(GptEnv *env, const GptVocabulary *v, int64_t id, const uint8_t *bytes, size_t n) {
  char old[GPT_QUOTE_SIZE], new[GPT_QUOTE_SIZE];
  const GptToken *token = &v->tokens[id];
  return gpt_fail(env, "two tokens have the id %lld: %s and %s", (long long)id,
                  gpt_quote((const char *)v->bytes + token->start, token->length, old),
                  gpt_quote((const char *)bytes, n, new));
}

static bool fail_same_token(GptEnv *env, int64_t old, int64_t new, const uint8_t *bytes, size_t n) {
  char token[GPT_QUOTE_SIZE];
  return gpt_fail(env, "the token %s has two ids: %lld and %lld", gpt_quote((const char *)bytes, n, token),
                  (long long)old, (long long)new);
}

bool gpt_vocabulary_add(GptEnv *env, GptVocabulary *v, int64_t id, const uint8_t *bytes, size_t n, uint32_t flags) {
  if (!check_id(env, v, id, bytes, n) || !check_token_length(env, bytes, n)) return false;
  if (gpt_vocabulary_token(v, id) != NULL) return fail_same_id(env, v, id, bytes, n);
  int64_t old = gpt_vocabulary_find(v, bytes, n, is_literal(flags));
  if (old >= 0) return fail_same_token(env, old, id, bytes, n);
  bool inside = v->bytes != NULL && bytes == v->bytes + v->used; /* spelled there already */
  if (!reserve_bytes(env, v, n) || !reserve_id(env, v, id) || !reserve_slot(env, v)) return false;
  if (!inside) memcpy(v->bytes + v->used, bytes, n);
  v->tokens[id] = (GptToken){v->used, (uint32_t)n, flags | GPT_TOKEN_PRESENT};
  fill_token_slot(v, (size_t)id);
  v->used += n;
  v->present++;
  return true;
}

/* Puts the bytes of a token that the files write as text behind the last token. */
static bool read_spelling(GptEnv *env, GptVocabulary *v, const char *text, size_t n, size_t *length, bool *literal) {
  if (!reserve_bytes(env, v, n)) return false;
  *literal = v->raw ? false : !gpt_alphabet_read(&v->alphabet, text, n, v->bytes + v->used, length);
  if (!*literal && !v->raw) return true;
  memcpy(v->bytes + v->used, text, n);
  *length = n;
  return true;
}

bool gpt_vocabulary_add_spelled(GptEnv *env, GptVocabulary *v, int64_t id, const char *text, size_t n, uint32_t flags) {
  size_t length;
  bool literal;
  if (!read_spelling(env, v, text, n, &length, &literal)) return false;
  return gpt_vocabulary_add(env, v, id, v->bytes + v->used, length, literal ? flags | GPT_TOKEN_LITERAL : flags);
}

int64_t gpt_vocabulary_find_spelled(GptEnv *env, GptVocabulary *v, const char *text, size_t n) {
  size_t length;
  bool literal;
  if (!read_spelling(env, v, text, n, &length, &literal)) return -2;
  return gpt_vocabulary_find(v, v->bytes + v->used, length, literal);
}

int64_t gpt_vocabulary_find_joined(GptEnv *env, GptVocabulary *v, int64_t left, int64_t right) {
  const GptToken *a = &v->tokens[left], *b = &v->tokens[right];
  size_t n = (size_t)a->length + b->length;
  if (!reserve_bytes(env, v, n)) return -2;
  memcpy(v->bytes + v->used, v->bytes + a->start, a->length);
  memcpy(v->bytes + v->used + a->length, v->bytes + b->start, b->length);
  return gpt_vocabulary_find(v, v->bytes + v->used, n, false);
}

void gpt_vocabulary_spell(const GptVocabulary *v, int64_t id, GptText *out) {
  const GptToken *token = &v->tokens[id];
  const uint8_t *bytes = v->bytes + token->start;
  if (v->raw || is_literal(token->flags)) gpt_text_add_bytes(out, (const char *)bytes, token->length);
  else gpt_alphabet_write(&v->alphabet, bytes, token->length, out);
}
