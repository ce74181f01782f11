#include "core/tokenizer/slots.h"

#include "core/base/array.h"
#include "core/base/memory.h"

bool gpt_slots_renew(GptEnv *env, uint32_t **slots, size_t *count, size_t wanted) {
  uint32_t *empty = gpt_alloc_array_zeroed(env, wanted, sizeof *empty);
  if (empty == NULL) return false;
  gpt_free(env, *slots);
  *slots = empty;
  *count = wanted;
  return true;
}
