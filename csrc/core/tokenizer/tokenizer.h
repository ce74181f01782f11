/*
 * The tokenizer: text to token ids and back, by byte-pair encoding: of bytes, as GPT-2's (Radford et al. 2019), or of
 * characters with byte fallback, as SentencePiece's (Kudo and Richardson 2018).
 *
 * Any string of bytes can be encoded; decoding gives the same bytes back unless a normalizer changed them, or the
 * vocabulary lacks some. A tokenizer is used by one thread at a time: it remembers words.
 */
#ifndef GPT_TOKENIZER_H
#define GPT_TOKENIZER_H

#include "core/io/file_set.h"
#include "core/tokenizer/ids.h"
#include "core/tokenizer/templates.h"
#include "core/tokenizer/vocabulary.h"

typedef struct GptTokenizer GptTokenizer;

/* The parts that Hugging Face's files give to special tokens; GPT_ROLE_NAMES has their keys there. */
typedef enum GptRole {
  GPT_ROLE_EOS, GPT_ROLE_BOS, GPT_ROLE_UNK, GPT_ROLE_PAD, GPT_ROLE_SEP, GPT_ROLE_CLS, GPT_ROLE_MASK, GPT_ROLES
} GptRole;

extern const char *const gpt_role_names[GPT_ROLES]; /* "eos_token" */

/* Reads a tokenizer from a directory: tokenizer.json if it is there (as transformers does), otherwise vocab.json and
   merges.txt, or encoder.json and vocab.bpe; then added_tokens.json, tokenizer_config.json, special_tokens_map.json,
   and of generation_config.json and config.json the end tokens, as far as these are there.
   What would change the ids and is not implemented is refused by name. */
GptTokenizer *gpt_tokenizer_load(GptEnv *env, const char *dir);

/* Writes tokenizer.json, vocab.json, merges.txt and tokenizer_config.json, all of them or none; dir is made if
   absent. */
bool gpt_tokenizer_save(GptEnv *env, const GptTokenizer *tokenizer, const char *dir);

/* Adds these files to a set, to be saved with others, with those chat templates. Where special_tokens_map.json,
   added_tokens.json and chat_template.jinja are in its directory, they are written too. */
bool gpt_tokenizer_write(GptEnv *env, const GptTokenizer *tokenizer, const GptTemplates *templates, GptFileSet *set);

void gpt_tokenizer_free(GptEnv *env, GptTokenizer *tokenizer);

/* Which of the added tokens that are marks, such as the end of text, count in a text; all others always do. */
typedef struct GptMarks {
  bool count;             /* do any? */
  const int64_t *literal; /* [literal_count], rising: bytes (from 0) at which none begins, whatever stands there */
  size_t literal_count;
} GptMarks;

/* Appends the ids of n bytes of text. Added tokens that stand in the text become their ids; marks that do not count are
   text like any other. On failure out is as it was. */
bool gpt_tokenizer_encode(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t n, GptMarks marks,
                          GptIds *out);

/*
 * Where the first n bytes of a text that may go on can be cut: the most bytes whose ids, and after them those of the
 * rest, are the ids of the whole, whatever follows. 0 where no such place is known yet.
 */
size_t gpt_tokenizer_cut(const GptTokenizer *tokenizer, const char *text, size_t n, bool special);

/* How many bytes the ids stand for. An id without a token stands for none, as models may have more ids than their
   tokenizer; a negative id is an error. Some tokenizers leave out a blank at the beginning of a text, as encoding puts
   one there: not where the ids continue others. */
bool gpt_tokenizer_decoded_size(GptEnv *env, const GptTokenizer *tokenizer, const int64_t *ids, size_t count,
                                bool continued, size_t *bytes);

/* Writes those bytes; the ids have passed gpt_tokenizer_decoded_size. */
void gpt_tokenizer_decode(const GptTokenizer *tokenizer, const int64_t *ids, size_t count, bool continued, char *out);

/* One token as the vocabulary has it (not zero-terminated, the tokenizer's own), or NULL and an error. */
const char *gpt_tokenizer_token(GptEnv *env, const GptTokenizer *tokenizer, int64_t id, size_t *length);

/* Is it the id of a mark, which is no text: an end of text, say? */
bool gpt_tokenizer_is_mark(const GptTokenizer *tokenizer, int64_t id);

/* The highest id plus 1: what a model's vocab_size must reach. */
size_t gpt_tokenizer_size(const GptTokenizer *tokenizer);

/* The id of the token with that role, or -1. */
int64_t gpt_tokenizer_role(const GptTokenizer *tokenizer, GptRole role);

/* The ids that the files put before and after a text. */
const GptIds *gpt_tokenizer_before(const GptTokenizer *tokenizer);
const GptIds *gpt_tokenizer_after(const GptTokenizer *tokenizer);

/* The ids that end a text: the token of that role, then what generation_config.json and config.json name. */
const GptIds *gpt_tokenizer_ends(const GptTokenizer *tokenizer);

/* The chat templates; whoever calls may change them. */
GptTemplates *gpt_tokenizer_templates(GptTokenizer *tokenizer);

#endif
