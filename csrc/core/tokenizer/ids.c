#include "core/tokenizer/ids.h"

#include "core/base/array.h"
#include "core/base/memory.h"

void gpt_ids_init(GptIds *ids, GptEnv *env) { *ids = (GptIds){.env = env}; }

void gpt_ids_free(GptIds *ids) {
  gpt_free(ids->env, ids->data);
  gpt_ids_init(ids, ids->env);
}

bool gpt_ids_reserve(GptIds *ids, size_t n) {
  return GPT_GROW(ids->env, ids->data, ids->capacity, ids->length, n);
}
