#include "core/tokenizer/cache.h"

void gpt_cache_put(const GptCacheKey *key, const int64_t *ids, size_t count) {
  if (count > GPT_CACHED_IDS) return;
  memcpy(key->slot->word, key->word, sizeof key->word);
  key->slot->length = key->length;
  key->slot->count = (uint16_t)count;
  for (size_t i = 0; i < count; i++) key->slot->ids[i] = (uint32_t)ids[i];
}
