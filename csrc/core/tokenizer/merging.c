#include "core/tokenizer/merging.h"

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"

#define END UINT32_MAX /* previous of the first part, next of the last */
#define KEPT 65536     /* a longer word's memory is given back after it */

void gpt_merge_space_free(GptEnv *env, GptMergeSpace *space) {
  gpt_free(env, space->parts);
  gpt_free(env, space->heap);
  *space = (GptMergeSpace){0};
}

/* A merge takes one candidate off the heap and puts at most two on, so there are never more than 2 n. */
static bool reserve_space(GptEnv *env, GptMergeSpace *space, size_t n) {
  if (n <= space->capacity) return true;
  if (n >= END) return gpt_fail(env, "a word of %zu bytes is too long to encode", n);
  gpt_merge_space_free(env, space);
  size_t capacity = n < 256 ? 256 : n;
  space->parts = gpt_alloc_array(env, capacity, sizeof *space->parts);
  space->heap = space->parts == NULL ? NULL : gpt_alloc_array(env, 2 * capacity, sizeof *space->heap);
  if (space->heap == NULL) return gpt_merge_space_free(env, space), false;
  space->capacity = capacity;
  return true;
}

void gpt_byte_tokens_rank(GptByteTokens *bytes, const GptMerges *merges) {
  for (int left = 0; left < 256; left++)
    for (int right = 0; right < 256; right++)
      bytes->ranks[left][right] = gpt_merges_rank(merges, bytes->ids[left], bytes->ids[right]);
}

static void sift_rank_down(uint64_t *heap, size_t count, size_t at) {
  uint64_t value = heap[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && heap[child + 1] < heap[child]) child++;
    if (heap[child] >= value) break;
    heap[at] = heap[child];
  }
  heap[at] = value;
}

static void push_rank(uint64_t *heap, size_t *count, uint64_t value) {
  size_t at = (*count)++;
  for (size_t parent; at > 0 && heap[parent = (at - 1) / 2] > value; at = parent) heap[at] = heap[parent];
  heap[at] = value;
}

static uint64_t pop_rank(uint64_t *heap, size_t *count) {
  uint64_t least = heap[0];
  heap[0] = heap[--*count];
  sift_rank_down(heap, *count, 0);
  return least;
}

/* The parts of a word while they are listed and merged. */
typedef struct Merging {
  const GptMergeRules *rules;
  GptMergeSpace *space;
  const uint8_t *word;
  size_t n;     /* bytes of the word */
  size_t parts; /* listed */
  size_t count; /* candidates in the heap */
} Merging;

static void add_merge_part(Merging *m, uint32_t id, size_t start) {
  uint32_t at = (uint32_t)m->parts++;
  m->space->parts[at] = (GptPart){id, GPT_NO_RANK, at - 1, at + 1, (uint32_t)start, 0};
}

static void list_bytes(Merging *m) {
  for (size_t i = 0; i < m->n; i++) {
    uint32_t id = m->rules->bytes->ids[m->word[i]];
    if (id != GPT_NO_TOKEN) add_merge_part(m, id, i);
    else if (m->rules->unknown != GPT_NO_TOKEN) add_merge_part(m, m->rules->unknown, i);
  }
}

/* A character without a token: its bytes' tokens, if they all have one, or the unknown one. */
static void list_fallback(Merging *m, size_t at, size_t length) {
  const GptMergeRules *rules = m->rules;
  bool all = rules->fallback != NULL;
  for (size_t i = 0; all && i < length; i++) all = rules->fallback[m->word[at + i]] != GPT_NO_TOKEN;
  for (size_t i = 0; all && i < length; i++) add_merge_part(m, rules->fallback[m->word[at + i]], at + i);
  if (all || rules->unknown == GPT_NO_TOKEN) return;
  bool fused = rules->fuse_unknown && m->parts > 0 && m->space->parts[m->parts - 1].id == rules->unknown;
  if (!fused) add_merge_part(m, rules->unknown, at);
}

/* The token of one character, or none; what merging never makes is none. */
static uint32_t character_token(const GptMergeRules *rules, const uint8_t *text, size_t length) {
  if (length == 1) return rules->bytes->ids[text[0]];
  int64_t id = gpt_vocabulary_find(rules->vocabulary, text, length, false);
  return id < 0 || (rules->order != NULL && rules->order[id] == GPT_NO_RANK) ? GPT_NO_TOKEN : (uint32_t)id;
}

/* Where ranks are by text, a character without a token waits: what it merges into may be one. */
static void list_characters(Merging *m) {
  for (size_t at = 0, length; at < m->n; at += length) {
    uint32_t code;
    length = gpt_utf8_decode(m->word + at, m->n - at, &code);
    bool valid = length != 0;
    if (!valid) length = 1;
    uint32_t id = valid ? character_token(m->rules, m->word + at, length) : GPT_NO_TOKEN;
    if (id != GPT_NO_TOKEN || m->rules->order != NULL) add_merge_part(m, id, at);
    else list_fallback(m, at, length);
  }
}

static size_t end_of_part(const Merging *m, const GptPart *part) {
  return part->next == END ? m->n : m->space->parts[part->next].start;
}

/* The rank of two neighbours whose joined text is a token. */
static uint32_t rank_by_text(const Merging *m, GptPart *part, const GptPart *next) {
  size_t length = end_of_part(m, next) - part->start;
  if (length > m->rules->longest) return GPT_NO_RANK;
  int64_t id = gpt_vocabulary_find(m->rules->vocabulary, m->word + part->start, length, false);
  if (id < 0) return GPT_NO_RANK;
  part->made = (uint32_t)id;
  return m->rules->order[id];
}

static uint32_t rank_by_pair(const Merging *m, GptPart *part, const GptPart *next) {
  uint32_t rank = gpt_merges_rank(m->rules->merges, part->id, next->id);
  if (rank != GPT_NO_RANK) part->made = m->rules->merges->list[rank].made;
  return rank;
}

static uint32_t rank_of(const Merging *m, GptPart *part) {
  if (part->next == END) return GPT_NO_RANK;
  const GptPart *next = &m->space->parts[part->next];
  return m->rules->order != NULL ? rank_by_text(m, part, next) : rank_by_pair(m, part, next);
}

/* The first ranks; of bytes without holes they are in a table. */
static void list_candidates(Merging *m) {
  GptPart *parts = m->space->parts;
  bool table = !m->rules->characters && m->parts == m->n;
  if (m->parts > 0) parts[m->parts - 1].next = END;
  for (size_t i = 0; i + 1 < m->parts; i++) {
    uint32_t rank = table ? m->rules->bytes->ranks[m->word[i]][m->word[i + 1]] : rank_of(m, &parts[i]);
    parts[i].rank = rank;
    if (rank == GPT_NO_RANK) continue;
    if (table) parts[i].made = m->rules->merges->list[rank].made;
    m->space->heap[m->count++] = (uint64_t)rank << 32 | i;
  }
  for (size_t i = m->count / 2; i-- > 0;) sift_rank_down(m->space->heap, m->count, i);
}

/* Looks up the merge of a part with the one after it, and makes it a candidate. */
static void update(Merging *m, uint32_t at) {
  GptPart *part = &m->space->parts[at];
  part->rank = rank_of(m, part);
  if (part->rank != GPT_NO_RANK) push_rank(m->space->heap, &m->count, (uint64_t)part->rank << 32 | at);
}

/* Merges the part at `at` with the one after it. */
static void merge_at(Merging *m, uint32_t at) {
  GptPart *part = &m->space->parts[at], *gone = &m->space->parts[part->next];
  part->id = part->made;
  part->next = gone->next;
  gone->rank = GPT_NO_RANK;
  if (part->next != END) m->space->parts[part->next].previous = at;
  update(m, at);
  if (part->previous != END) update(m, part->previous);
}

/* The tokens of bytes that are no token's, or the unknown one. */
static void append_fallback(const Merging *m, const GptPart *part, GptIds *out) {
  const GptMergeRules *rules = m->rules;
  size_t end = end_of_part(m, part);
  bool all = rules->fallback != NULL;
  for (size_t at = part->start; all && at < end; at++) all = rules->fallback[m->word[at]] != GPT_NO_TOKEN;
  for (size_t at = part->start; all && at < end; at++) out->data[out->length++] = rules->fallback[m->word[at]];
  if (!all && rules->unknown != GPT_NO_TOKEN) out->data[out->length++] = rules->unknown;
}

/* At most one token a byte. */
static bool append_ids(const Merging *m, size_t left, GptIds *out) {
  bool by_text = m->rules->order != NULL;
  if (m->parts == 0) return true;
  if (!gpt_ids_reserve(out, by_text ? m->n : left)) return false;
  for (uint32_t at = 0; at != END; at = m->space->parts[at].next) {
    const GptPart *part = &m->space->parts[at];
    if (part->id == GPT_NO_TOKEN) append_fallback(m, part, out);
    else out->data[out->length++] = part->id;
  }
  return true;
}

bool gpt_merge_word(GptEnv *env, const GptMergeRules *rules, GptMergeSpace *space, const uint8_t *word, size_t n,
                    GptIds *out) {
  if (!reserve_space(env, space, n)) return false;
  Merging m = {.rules = rules, .space = space, .word = word, .n = n};
  if (rules->characters) list_characters(&m);
  else list_bytes(&m);
  list_candidates(&m);
  size_t left = m.parts;
  while (m.count > 0) {
    uint64_t candidate = pop_rank(space->heap, &m.count);
    uint32_t at = (uint32_t)candidate;
    if (space->parts[at].rank != candidate >> 32) continue; /* one of the two has merged otherwise since */
    merge_at(&m, at);
    left--;
  }
  bool good = append_ids(&m, left, out);
  if (space->capacity > KEPT) gpt_merge_space_free(env, space);
  return good;
}
