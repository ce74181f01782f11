/* The keys of a GGUF file's tokenizer, for reading and writing. */
#ifndef GPT_GGUF_KEYS_H
#define GPT_GGUF_KEYS_H

#include "core/tokenizer/tokenizer.h"

#define GPT_GGUF_MODEL "tokenizer.ggml.model"
#define GPT_GGUF_PRE "tokenizer.ggml.pre"
#define GPT_GGUF_ADD_BOS "tokenizer.ggml.add_bos_token"
#define GPT_GGUF_ADD_EOS "tokenizer.ggml.add_eos_token"
#define GPT_GGUF_SPACE_PREFIX "tokenizer.ggml.add_space_prefix"
#define GPT_GGUF_OWN "luagpt.tokenizer" /* tokenizer.json's words on what is done to a text */

/* Types of tokens in tokenizer.ggml.token_type. */
enum {
  GPT_GGUF_TOKEN_NORMAL = 1, GPT_GGUF_TOKEN_UNKNOWN, GPT_GGUF_TOKEN_CONTROL, GPT_GGUF_TOKEN_USER_DEFINED,
  GPT_GGUF_TOKEN_UNUSED, GPT_GGUF_TOKEN_BYTE
};

/* The keys of special tokens' ids; NULL: the format has none. */
extern const char *const gpt_gguf_role_keys[GPT_ROLES];

#define GPT_GGUF_END_KEYS 2

/* What ends a text beside eos: a turn, a message. */
extern const char *const gpt_gguf_end_keys[GPT_GGUF_END_KEYS];

#endif
