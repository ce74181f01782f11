#include "core/tokenizer/words.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/slots.h"
#include "core/tokenizer/vocabulary.h"

#define LONGEST_WORD GPT_MOST_TOKEN_BYTES /* a longer one is cut: nothing is learned from such */

void gpt_words_free(GptWords *words) {
  gpt_free(words->env, words->bytes);
  gpt_free(words->env, words->list);
  gpt_free(words->env, words->slots);
}

static uint32_t hash_word(const GptWords *words, const uint8_t *bytes, size_t n) {
  return (uint32_t)(gpt_hash_bytes(words->key, bytes, n, n) >> 32);
}

/* The slot of a word, or the empty one where it would go. */
static size_t find_word_slot(const GptWords *words, const uint8_t *bytes, size_t n, uint32_t h) {
  size_t mask = words->slot_count - 1, at = h & mask;
  for (; words->slots[at] != 0; at = (at + 1) & mask) {
    const GptWord *word = &words->list[words->slots[at] - 1];
    if (word->hash == h && word->length == n && memcmp(words->bytes + word->start, bytes, n) == 0) break;
  }
  return at;
}

static bool grow_word_slots(GptWords *words) {
  size_t count = words->slot_count == 0 ? 4096 : 2 * words->slot_count;
  if (words->slot_count == 0) words->key = gpt_hash_key();
  if (!gpt_slots_renew(words->env, &words->slots, &words->slot_count, count)) return false;
  for (size_t i = 0; i < words->count; i++) {
    size_t at = words->list[i].hash & (count - 1);
    while (words->slots[at] != 0) at = (at + 1) & (count - 1);
    words->slots[at] = (uint32_t)i + 1;
  }
  return true;
}

/* Room for one more word of n bytes; the hash table stays at most half full. */
static bool reserve_word(GptWords *words, size_t n) {
  if (words->count >= UINT32_MAX / 4) return gpt_fail(words->env, "too many different words to learn from");
  if (2 * (words->count + 1) > words->slot_count && !grow_word_slots(words)) return false;
  return GPT_GROW(words->env, words->list, words->capacity, words->count, 1) &&
         GPT_GROW(words->env, words->bytes, words->room, words->used, n);
}

static bool count_word(GptWords *words, const uint8_t *bytes, size_t n) {
  if (!reserve_word(words, n)) return false;
  uint32_t h = hash_word(words, bytes, n);
  size_t slot = find_word_slot(words, bytes, n, h);
  if (words->slots[slot] == 0) {
    words->list[words->count] = (GptWord){.start = words->used, .length = (uint32_t)n, .hash = h};
    memcpy(words->bytes + words->used, bytes, n);
    words->used += n;
    words->slots[slot] = (uint32_t)++words->count;
  }
  words->list[words->slots[slot] - 1].count++;
  return true;
}

bool gpt_words_add_text(GptWords *words, const GptClasses *classes, const uint8_t *text, size_t n) {
  for (size_t at = 0, end; at < n; at = end) {
    end = gpt_scan_word(classes, &(GptScanRules){0}, text, at, n);
    if (end - at > LONGEST_WORD) end = at + LONGEST_WORD;
    if (!count_word(words, text + at, end - at)) return false;
  }
  return true;
}
