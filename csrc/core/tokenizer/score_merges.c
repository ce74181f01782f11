/* SentencePiece's scores as a list of pairs, as tokenizer.json wants it. */
#include <stdlib.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/utf8.h"
#include "core/tokenizer/parts.h"

/* A pair, before they are sorted. */
typedef struct Half {
  uint32_t order; /* of what it makes */
  uint32_t left, right, made;
} Half;

typedef struct Halves {
  GptEnv *env;
  Half *list; /* [count] */
  size_t count, capacity;
} Halves;

static int64_t find_made(const GptTokenizer *tokenizer, const uint8_t *text, size_t n) {
  int64_t id = gpt_vocabulary_find(&tokenizer->vocabulary, text, n, false);
  return id < 0 || tokenizer->order[id] == GPT_NO_RANK ? -1 : id;
}

static bool add_halves(Halves *halves, const GptTokenizer *tokenizer, uint32_t made) {
  const GptToken *token = &tokenizer->vocabulary.tokens[made];
  const uint8_t *text = tokenizer->vocabulary.bytes + token->start;
  uint32_t code;
  for (size_t at = 0, length; at < token->length; at += length == 0 ? 1 : length) {
    length = gpt_utf8_decode(text + at, token->length - at, &code);
    int64_t left = at == 0 ? -1 : find_made(tokenizer, text, at);
    int64_t right = left < 0 ? -1 : find_made(tokenizer, text + at, token->length - at);
    if (right < 0) continue;
    if (!GPT_GROW(halves->env, halves->list, halves->capacity, halves->count, 1)) return false;
    halves->list[halves->count++] = (Half){tokenizer->order[made], (uint32_t)left, (uint32_t)right, made};
  }
  return true;
}

static int compare_halves(const void *a, const void *b) {
  const Half *x = a, *y = b;
  if (x->order != y->order) return x->order < y->order ? -1 : 1;
  if (x->left != y->left) return x->left < y->left ? -1 : 1;
  return (x->right > y->right) - (x->right < y->right);
}

bool gpt_merges_of_scores(GptEnv *env, const GptTokenizer *tokenizer, GptMerges *merges) {
  Halves halves = {.env = env};
  bool good = true;
  for (size_t id = 0; good && id < tokenizer->vocabulary.size; id++)
    if (tokenizer->order[id] != GPT_NO_RANK) good = add_halves(&halves, tokenizer, (uint32_t)id);
  if (good && halves.count > 0) qsort(halves.list, halves.count, sizeof *halves.list, compare_halves);
  for (size_t i = 0; good && i < halves.count; i++)
    good = gpt_merges_add(env, merges, (GptMerge){halves.list[i].left, halves.list[i].right, halves.list[i].made});
  gpt_free(env, halves.list);
  return good;
}
