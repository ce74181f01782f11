/* A growing list of token ids. */
#ifndef GPT_IDS_H
#define GPT_IDS_H

#include "core/base/env.h"

typedef struct GptIds {
  GptEnv *env;
  int64_t *data; /* [length] */
  size_t length, capacity;
} GptIds;

void gpt_ids_init(GptIds *ids, GptEnv *env);
void gpt_ids_free(GptIds *ids);

/* Room for n more. */
bool gpt_ids_reserve(GptIds *ids, size_t n);

#endif
