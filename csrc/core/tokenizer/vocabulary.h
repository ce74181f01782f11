/*
 * The vocabulary: tokens by id, and ids by token. Ids start at 0 and may leave holes, as Hugging Face's files may.
 *
 * The files write a token in the byte alphabet (alphabet.h). One with a character outside of it, as added tokens may
 * have, is `literal`: it stands for its own UTF-8, and no merge makes it from text. In a `raw` vocabulary a token's
 * bytes are what the files write, with U+2581 for a blank.
 */
#ifndef GPT_VOCABULARY_H
#define GPT_VOCABULARY_H

#include "core/base/env.h"
#include "core/base/hash.h"
#include "core/tokenizer/alphabet.h"

#define GPT_MOST_TOKENS ((int64_t)1 << 23) /* ids lie below */
#define GPT_MOST_TOKEN_BYTES 65536         /* of one */

enum {
  GPT_TOKEN_PRESENT = 1, /* not a hole */
  GPT_TOKEN_LITERAL = 2,
  GPT_TOKEN_MODEL = 4,   /* in the vocabulary proper (vocab.json), not only added to it */
  GPT_TOKEN_ADDED = 8,   /* found in text before it is cut into words, where special tokens are wanted */
  GPT_TOKEN_SPECIAL = 16, /* a mark, not text: end of text, padding */
  GPT_TOKEN_BYTE = 32,    /* written <0x0A>: it stands for that byte */
  GPT_TOKEN_LSTRIP = 64, GPT_TOKEN_RSTRIP = 128, /* an added one takes the white space before it, after it */
  GPT_TOKEN_WORD = 256,       /* an added one is found as a whole word only */
  GPT_TOKEN_NORMALIZED = 512, /* an added one is found after the text is normalized */
  GPT_TOKEN_UNUSED = 1024     /* stands in a GGUF file's list as one that nobody needs */
};

typedef struct GptToken {
  size_t start;    /* of its bytes, in the vocabulary's */
  uint32_t length;
  uint32_t flags;
} GptToken;

typedef struct GptVocabulary {
  GptAlphabet alphabet;
  bool raw;           /* the files write tokens as their UTF-8, as SentencePiece does: none is literal */
  uint8_t *bytes;     /* of all tokens, one after the other */
  size_t used, room;
  GptToken *tokens;   /* [size] */
  size_t size;        /* the highest id plus 1 */
  size_t capacity;
  size_t present;     /* tokens that are there */
  size_t listed;      /* tokens that the file which is read lists: the more, the higher ids may be */
  uint32_t *slots;    /* hash table: id + 1 and above it 8 bits of the hash, so that most misses end here; or 0 */
  size_t slot_count;
  GptHashKey key;
} GptVocabulary;

void gpt_vocabulary_init(GptVocabulary *vocabulary);
void gpt_vocabulary_free(GptEnv *env, GptVocabulary *vocabulary);

/* Adds a token of n bytes. An id or a token that is there already is an error, a token that is too long, and an id far
   above the number of tokens: a hole takes memory as well. */
bool gpt_vocabulary_add(GptEnv *env, GptVocabulary *vocabulary, int64_t id, const uint8_t *bytes, size_t n,
                        uint32_t flags);

/* The same for a token as the files write it. */
bool gpt_vocabulary_add_spelled(GptEnv *env, GptVocabulary *vocabulary, int64_t id, const char *text, size_t n,
                                uint32_t flags);

/* The id of a token of n bytes, literal or not, or -1. */
int64_t gpt_vocabulary_find(const GptVocabulary *vocabulary, const uint8_t *bytes, size_t n, bool literal);

/* The beginnings of a text that were looked for; all zero to begin with. */
typedef struct GptBeginnings {
  uint64_t hash; /* of the first `hashed` bytes */
  size_t hashed;
} GptBeginnings;

/* The id of the token, not literal, that is the first n bytes of a text, or -1. Each is longer than the one before: what
   is hashed of that is not hashed again. */
int64_t gpt_vocabulary_find_beginning(const GptVocabulary *vocabulary, GptBeginnings *beginnings, const uint8_t *text,
                                      size_t n);

/* The same for a token as the files write it; -2 without memory. */
int64_t gpt_vocabulary_find_spelled(GptEnv *env, GptVocabulary *vocabulary, const char *text, size_t n);

/* The id of the token that two tokens make, one after the other, or -1; -2 without memory. */
int64_t gpt_vocabulary_find_joined(GptEnv *env, GptVocabulary *vocabulary, int64_t left, int64_t right);

/* Appends a token as the files write it. */
void gpt_vocabulary_spell(const GptVocabulary *vocabulary, int64_t id, GptText *out);

/* The token of an id, or NULL where there is none. */
const GptToken *gpt_vocabulary_token(const GptVocabulary *vocabulary, int64_t id);

#endif
