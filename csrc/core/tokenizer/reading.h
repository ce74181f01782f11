/* Reading a tokenizer's files, one function a file; each message names its file. */
#ifndef GPT_TOKENIZER_READING_H
#define GPT_TOKENIZER_READING_H

#include <cjson/cJSON.h>

#include "core/tokenizer/parts.h"

/* Reads one JSON document into the tokenizer. */
typedef bool GptJsonReader(GptEnv *env, GptTokenizer *tokenizer, const cJSON *json);

/* tokenizer.json */
GptJsonReader gpt_read_tokenizer_json;

/* { token: id, ... }: vocab.json, and a part of tokenizer.json */
GptJsonReader gpt_read_vocabulary;

/* { token: id, ... } of added tokens: added_tokens.json of older tools */
GptJsonReader gpt_read_added_tokens;

/* The added tokens with ids that tokenizer_config.json or special_tokens_map.json lists. Settings that would change the
   ids are refused. */
GptJsonReader gpt_read_special_tokens;

/* The roles, and further special tokens, that these documents name (NULL: a file that is not there); for a role the
   first counts that speaks of it. What the vocabulary lacks gets the next ids, in transformers' order. */
bool gpt_add_special_tokens(GptEnv *env, GptTokenizer *tokenizer, cJSON *const *documents, size_t count);

/* Whether tokenizer_config.json (NULL: not there) says that: "add_bos_token", "add_eos_token". */
bool gpt_asks_for(const cJSON *config, const char *setting);

/* The ids that end a text by generation_config.json or config.json: "eos_token_id", a number or a list. */
GptJsonReader gpt_read_end_tokens;

/* One added token as tokenizer.json and tokenizer_config.json describe it. */
bool gpt_read_added_token(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const cJSON *token);

/* Adds the merge of two tokens as the files write them. */
bool gpt_read_merge(GptEnv *env, GptTokenizer *tokenizer, const char *left, size_t left_length, const char *right,
                    size_t right_length);

/* merges.txt, whole */
bool gpt_read_merges(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t size);

/* Shared by the readers of tokenizer.json. A missing field is NULL, a missing type "null". */
const cJSON *gpt_json_field(const cJSON *object, const char *key);
const char *gpt_json_text(const cJSON *object, const char *key); /* a string, or NULL */
bool gpt_json_is_missing(const cJSON *value);
const char *gpt_json_type(const cJSON *value);
bool gpt_json_is_type(const cJSON *value, const char *type);
bool gpt_refuse_type(GptEnv *env, const char *what, const cJSON *value, const char *expected);

/* The rules by which the scanner cuts as a pattern does, or NULL. */
const GptScanRules *gpt_known_pattern(const char *pattern);

/* Reads what stands for characters without a token from tokenizer.json's model. */
bool gpt_read_unknown(GptEnv *env, GptTokenizer *tokenizer, const cJSON *model);

/* { "Regex": ... } or { "String": ... } */
GptRegex *gpt_read_pattern(GptEnv *env, const cJSON *value);

#define GPT_ROLE_UNSAID (-2) /* while files are read: none has spoken of this role yet */

#endif
