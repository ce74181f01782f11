/* A tokenizer from and to the metadata of a GGUF file: tokenizer.ggml.tokens, token_type, merges, and special ids. */
#ifndef GPT_TOKENIZER_GGUF_H
#define GPT_TOKENIZER_GGUF_H

#include "core/io/gguf.h"
#include "core/tokenizer/tokenizer.h"

/* NULL and a message, which names the file, where it has no tokenizer of a kind that is implemented, or one that
   contradicts itself. */
GptTokenizer *gpt_tokenizer_read_gguf(GptEnv *env, const GptGguf *gguf);

/* Appends the keys and their values as GGUF has them, with `size` tokens (a model's vocabulary; at least the
   tokenizer's own): ids that no token has are written as unused ones. Returns how many keys. */
int gpt_tokenizer_write_gguf(GptEnv *env, const GptTokenizer *tokenizer, size_t size, GptText *out);

/* Why other programs that read such a file would get other ids; NULL where they do not. */
const char *gpt_tokenizer_gguf_difference(const GptTokenizer *tokenizer);

#endif
