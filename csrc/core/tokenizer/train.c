#include "core/tokenizer/train.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/tokenizer/pairs.h"
#include "core/tokenizer/parts.h"
#include "core/tokenizer/words.h"

static const char end_of_text[] = "<|endoftext|>";
#define END_LENGTH (sizeof end_of_text - 1)

struct GptTrainer {
  GptEnv *env;
  GptWords words;
  GptClasses classes;
};

/* A word while its tokens are merged. */
typedef struct Sequence {
  uint32_t *tokens; /* [length], part of one block */
  uint32_t length;
  int64_t count; /* how often the word occurs */
} Sequence;

typedef struct Learning {
  GptEnv *env;
  GptPairs pairs;
  Sequence *sequences; /* [words] */
  uint32_t *tokens;    /* [words->used]: of all sequences, one after the other */
  GptTokenizer *tokenizer;
} Learning;

GptTrainer *gpt_trainer_new(GptEnv *env) {
  GptTrainer *trainer = gpt_alloc_zeroed(env, sizeof *trainer);
  if (trainer == NULL) return NULL;
  trainer->env = trainer->words.env = env;
  gpt_classes_init(&trainer->classes);
  return trainer;
}

void gpt_trainer_free(GptTrainer *trainer) {
  if (trainer == NULL) return;
  gpt_words_free(&trainer->words);
  gpt_free(trainer->env, trainer);
}

bool gpt_trainer_add(GptTrainer *trainer, const char *text, size_t n) {
  while (n > 0) {
    const char *end = memmem(text, n, end_of_text, END_LENGTH);
    size_t length = end != NULL ? (size_t)(end - text) : n;
    if (!gpt_words_add_text(&trainer->words, &trainer->classes, (const uint8_t *)text, length)) return false;
    size_t step = end != NULL ? length + END_LENGTH : n;
    text += step;
    n -= step;
  }
  return true;
}

/* The bytes as tokens 0 to 255, in the order of the characters that the files write them as. */
static bool add_bytes(GptEnv *env, GptVocabulary *vocabulary) {
  int64_t id = 0;
  for (int code = 0; code < GPT_ALPHABET_END; code++) {
    if (vocabulary->alphabet.byte[code] < 0) continue;
    uint8_t byte = (uint8_t)vocabulary->alphabet.byte[code];
    if (!gpt_vocabulary_add(env, vocabulary, id++, &byte, 1, GPT_TOKEN_MODEL)) return false;
  }
  return true;
}

/* Every word as its bytes' tokens, and their pairs counted. */
static bool begin(Learning *learning, const GptWords *words) {
  uint32_t ids[256];
  const GptVocabulary *vocabulary = &learning->tokenizer->vocabulary;
  for (int b = 0; b < 256; b++)
    ids[b] = (uint32_t)gpt_vocabulary_find(vocabulary, &(uint8_t){(uint8_t)b}, 1, false);
  learning->sequences = gpt_alloc_array(learning->env, words->count, sizeof *learning->sequences);
  learning->tokens = gpt_alloc_array(learning->env, words->used, sizeof *learning->tokens);
  if (learning->sequences == NULL || learning->tokens == NULL) return false;
  for (size_t i = 0; i < words->used; i++) learning->tokens[i] = ids[words->bytes[i]];
  for (size_t w = 0; w < words->count; w++) {
    const GptWord *word = &words->list[w];
    Sequence *sequence = &learning->sequences[w];
    *sequence = (Sequence){learning->tokens + word->start, word->length, (int64_t)word->count};
    for (uint32_t i = 0; i + 1 < word->length; i++)
      if (!gpt_pairs_add(&learning->pairs, sequence->tokens[i], sequence->tokens[i + 1], (uint32_t)w, sequence->count))
        return false;
  }
  return gpt_pairs_settle(&learning->pairs);
}

/* The merged token's id, a new one unless other merges make the same bytes. */
static int64_t made_by(Learning *learning, const GptPair *pair) {
  GptVocabulary *v = &learning->tokenizer->vocabulary;
  int64_t id = gpt_vocabulary_find_joined(learning->env, v, pair->left, pair->right);
  if (id != -1) return id < 0 ? -1 : id;
  const GptToken *left = gpt_vocabulary_token(v, pair->left), *right = gpt_vocabulary_token(v, pair->right);
  size_t first = left->length, n = first + right->length;
  uint8_t *bytes = gpt_alloc(learning->env, n);
  if (bytes == NULL) return -1;
  memcpy(bytes, v->bytes + left->start, first);
  memcpy(bytes + first, v->bytes + right->start, n - first);
  id = (int64_t)v->size;
  bool added = gpt_vocabulary_add(learning->env, v, id, bytes, n, GPT_TOKEN_MODEL);
  gpt_free(learning->env, bytes);
  return added ? id : -1;
}

/* Counts what changes for the neighbours when tokens i and i + 1 of a word become one. */
static bool recount(GptPairs *pairs, const Sequence *sequence, uint32_t word, const uint32_t *before, uint32_t i,
                    uint32_t made) {
  const uint32_t *at = sequence->tokens + i;
  int64_t times = sequence->count;
  if (before != NULL) {
    gpt_pairs_remove(pairs, *before, at[0], times);
    if (!gpt_pairs_add(pairs, *before, made, word, times)) return false;
  }
  if (i + 2 == sequence->length) return true;
  gpt_pairs_remove(pairs, at[1], at[2], times);
  return gpt_pairs_add(pairs, made, at[2], word, times);
}

/* Merges the pair in one word, from the left. */
static bool merge_word(Learning *learning, uint32_t word, uint32_t left, uint32_t right, uint32_t made) {
  Sequence *sequence = &learning->sequences[word];
  uint32_t kept = 0, *tokens = sequence->tokens;
  for (uint32_t i = 0; i < sequence->length; i++) {
    bool here = tokens[i] == left && i + 1 < sequence->length && tokens[i + 1] == right;
    if (here && !recount(&learning->pairs, sequence, word, kept > 0 ? &tokens[kept - 1] : NULL, i, made)) return false;
    tokens[kept++] = here ? made : tokens[i];
    i += here;
  }
  sequence->length = kept;
  return true;
}

/* A pair that was merged before may come again, where another merge made its left or right token anew. */
static bool add_merge(Learning *learning, uint32_t left, uint32_t right) {
  if (gpt_merges_rank(&learning->tokenizer->merges, left, right) != GPT_NO_RANK) return true;
  return gpt_tokenizer_add_merge(learning->env, learning->tokenizer, left, right);
}

/* Merges the pair wherever it occurs. */
static bool learn_merge(Learning *learning, GptPair *pair) {
  uint32_t left = pair->left, right = pair->right, *words = pair->words, count = pair->word_count;
  size_t number = (size_t)(pair - learning->pairs.list); /* the list may move */
  int64_t made = made_by(learning, pair);
  if (made < 0 || !add_merge(learning, left, right)) return false;
  pair->words = NULL;
  pair->word_count = 0;
  pair->word_capacity = 0;
  bool good = true;
  for (uint32_t i = 0; i < count && good; i++) good = merge_word(learning, words[i], left, right, (uint32_t)made);
  gpt_free(learning->env, words);
  learning->pairs.list[number].count = 0;
  return good && gpt_pairs_settle(&learning->pairs);
}

static bool learn(Learning *learning, const GptWords *words, int64_t vocab_size, int64_t min_frequency) {
  GptTokenizer *tokenizer = learning->tokenizer;
  if (!add_bytes(learning->env, &tokenizer->vocabulary) || !begin(learning, words)) return false;
  while ((int64_t)tokenizer->vocabulary.size + 1 < vocab_size) {
    GptPair *pair = gpt_pairs_pop(&learning->pairs);
    if (pair == NULL || pair->count < min_frequency) break;
    if (!learn_merge(learning, pair)) return false;
  }
  int64_t end = (int64_t)tokenizer->vocabulary.size;
  tokenizer->roles[GPT_ROLE_EOS] = tokenizer->roles[GPT_ROLE_BOS] = tokenizer->roles[GPT_ROLE_UNK] = end;
  return gpt_vocabulary_add(learning->env, &tokenizer->vocabulary, end, (const uint8_t *)end_of_text, END_LENGTH,
                            GPT_TOKEN_MODEL) &&
         gpt_tokenizer_add_added(learning->env, tokenizer, end, end_of_text, END_LENGTH, GPT_TOKEN_SPECIAL) &&
         gpt_tokenizer_cut_as_gpt2(learning->env, tokenizer) && gpt_tokenizer_finish(learning->env, tokenizer);
}

GptTokenizer *gpt_trainer_finish(GptTrainer *trainer, int64_t vocab_size, int64_t min_frequency) {
  Learning learning = {.env = trainer->env, .pairs = {.env = trainer->env}};
  learning.tokenizer = gpt_tokenizer_new(trainer->env);
  bool good = learning.tokenizer != NULL && learn(&learning, &trainer->words, vocab_size, min_frequency);
  gpt_pairs_free(&learning.pairs);
  gpt_free(trainer->env, learning.sequences);
  gpt_free(trainer->env, learning.tokens);
  if (good) return learning.tokenizer;
  gpt_tokenizer_free(trainer->env, learning.tokenizer);
  return NULL;
}
