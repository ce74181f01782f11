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

/* What tokenizer_config.json and special_tokens_map.json say of special tokens; what was said before stays. */
GptJsonReader gpt_read_special_tokens;

/* One added token as tokenizer.json and tokenizer_config.json describe it. */
bool gpt_read_added_token(GptEnv *env, GptTokenizer *tokenizer, int64_t id, const cJSON *token);

/* Adds the merge of two tokens as the files write them. */
bool gpt_read_merge(GptEnv *env, GptTokenizer *tokenizer, const char *left, size_t left_length, const char *right,
                    size_t right_length);

/* merges.txt, whole */
bool gpt_read_merges(GptEnv *env, GptTokenizer *tokenizer, const char *text, size_t size);

#define GPT_ROLE_UNSAID (-2) /* while files are read: none has spoken of this role yet */

#endif
