#include "core/tokenizer/ids.h"

#include "core/base/memory.h"

void gpt_ids_init(GptIds *ids, GptEnv *env) { *ids = (GptIds){.env = env}; }

void gpt_ids_free(GptIds *ids) {
  gpt_free(ids->env, ids->data);
  gpt_ids_init(ids, ids->env);
}

bool gpt_ids_reserve(GptIds *ids, size_t n) {
  if (n <= ids->capacity - ids->length) return true;
  size_t capacity = ids->length + n + ids->capacity / 2;
  int64_t *data = gpt_realloc(ids->env, ids->data, capacity * sizeof *data);
  if (data == NULL) return false;
  ids->data = data;
  ids->capacity = capacity;
  return true;
}
