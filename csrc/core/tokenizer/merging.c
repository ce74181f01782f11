#include "core/tokenizer/merging.h"

#include "core/base/array.h"
#include "core/base/memory.h"

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

/* Lists the bytes and the merges of neighbours; returns how many candidates the heap has. */
static size_t list_bytes(const GptByteTokens *bytes, GptMergeSpace *space, const uint8_t *word, size_t n) {
  size_t count = 0;
  for (size_t i = 0; i < n; i++) {
    uint32_t rank = i + 1 < n ? bytes->ranks[word[i]][word[i + 1]] : GPT_NO_RANK;
    space->parts[i] = (GptPart){bytes->ids[word[i]], rank, (uint32_t)i - 1, i + 1 < n ? (uint32_t)i + 1 : END};
    if (rank != GPT_NO_RANK) space->heap[count++] = (uint64_t)rank << 32 | i;
  }
  for (size_t i = count / 2; i-- > 0;) sift_rank_down(space->heap, count, i);
  return count;
}

/* Looks up the merge of a part with the one after it, and makes it a candidate. */
static void update(const GptMerges *merges, GptMergeSpace *space, uint32_t at, size_t *count) {
  GptPart *part = &space->parts[at];
  part->rank = part->next == END ? GPT_NO_RANK : gpt_merges_rank(merges, part->id, space->parts[part->next].id);
  if (part->rank != GPT_NO_RANK) push_rank(space->heap, count, (uint64_t)part->rank << 32 | at);
}

/* Merges the part at `at` with the one after it. */
static void merge_at(const GptMerges *merges, GptMergeSpace *space, uint32_t at, size_t *count) {
  GptPart *part = &space->parts[at], *gone = &space->parts[part->next];
  part->id = merges->list[part->rank].made;
  part->next = gone->next;
  gone->rank = GPT_NO_RANK;
  if (part->next != END) space->parts[part->next].previous = at;
  update(merges, space, at, count);
  if (part->previous != END) update(merges, space, part->previous, count);
}

static bool append_ids(const GptMergeSpace *space, size_t n, GptIds *out) {
  if (!gpt_ids_reserve(out, n)) return false;
  for (uint32_t at = 0; at != END; at = space->parts[at].next) out->data[out->length++] = space->parts[at].id;
  return true;
}

bool gpt_merge_word(GptEnv *env, const GptMerges *merges, const GptByteTokens *bytes, GptMergeSpace *space,
                    const uint8_t *word, size_t n, GptIds *out) {
  if (!reserve_space(env, space, n)) return false;
  size_t count = list_bytes(bytes, space, word, n), left = n;
  while (count > 0) {
    uint64_t candidate = pop_rank(space->heap, &count);
    uint32_t at = (uint32_t)candidate;
    if (space->parts[at].rank != candidate >> 32) continue; /* one of the two has merged otherwise since */
    merge_at(merges, space, at, &count);
    left--;
  }
  bool good = append_ids(space, left, out);
  if (space->capacity > KEPT) gpt_merge_space_free(env, space);
  return good;
}
