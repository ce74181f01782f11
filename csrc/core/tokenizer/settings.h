/*
 * What tokenizer.json says of everything that is done to a text, as it says it: it is read into a tokenizer's steps,
 * and written back unchanged, with whatever else the file has beside tokens and merges.
 */
#ifndef GPT_TOKENIZER_SETTINGS_H
#define GPT_TOKENIZER_SETTINGS_H

#include <cjson/cJSON.h>

#include "core/base/text.h"

struct GptTokenizer;

/* GPT-2's pre-tokenizer and decoder as tokenizer.json has them; prefix, "true" or "false": whether a blank goes before a
   text. */
#define GPT_BYTE_LEVEL(prefix)                                                                      \
  "{\"type\": \"ByteLevel\", \"add_prefix_space\": " prefix ", \"trim_offsets\": true, \"use_regex\": true}"

typedef struct GptSettings {
  GptText root;     /* "key": value, ... of the document; empty: GPT-2's way, which needs no words */
  GptText model;    /* the same of its model, without its vocabulary and merges */
  bool canonical;     /* they are what a GGUF file's own keys say */
  bool has_processor; /* the root says what is put before and after texts */
} GptSettings;

void gpt_settings_free(GptEnv *env, GptSettings *settings);

/* Keeps them. */
bool gpt_settings_keep(GptEnv *env, GptSettings *settings, const cJSON *json);

/* Reads normalizer, pre_tokenizer and decoder of a document, and what its model says of the way of merging. Before the
   vocabulary: they decide how that is read. What is not implemented is refused by name. */
bool gpt_read_steps(GptEnv *env, struct GptTokenizer *tokenizer, const cJSON *json);

/* Reads post_processor: the ids before and after a text. After the vocabulary and the added tokens. */
bool gpt_read_post_processor(GptEnv *env, struct GptTokenizer *tokenizer, const cJSON *json);

struct GptCuts;

/* One pre-tokenizer, or a Sequence of them, as steps. *byte_level: one of them writes bytes in the byte alphabet. */
bool gpt_read_pre_tokenizer(GptEnv *env, struct GptCuts *cuts, const cJSON *value, bool *byte_level);

#endif
