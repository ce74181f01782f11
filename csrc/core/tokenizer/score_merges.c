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

static int64_t if_made(const GptTokenizer *tokenizer, int64_t id) {
  return id < 0 || tokenizer->order[id] == GPT_NO_RANK ? -1 : id;
}

static bool add_halves(Halves *halves, const GptTokenizer *tokenizer, uint32_t made) {
  const GptToken *token = &tokenizer->vocabulary.tokens[made];
  const GptVocabulary *v = &tokenizer->vocabulary;
  const uint8_t *text = v->bytes + token->start;
  GptBeginnings beginnings = {0};
  uint32_t code;
  for (size_t at = 0, length, rest; at < token->length; at += length == 0 ? 1 : length) {
    rest = token->length - at;
    length = gpt_utf8_decode(text + at, rest, &code);
    int64_t left = at == 0 ? -1 : if_made(tokenizer, gpt_vocabulary_find_beginning(v, &beginnings, text, at));
    int64_t right = left < 0 ? -1 : if_made(tokenizer, gpt_vocabulary_find(v, text + at, rest, false));
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
