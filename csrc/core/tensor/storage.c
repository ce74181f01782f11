#include "core/tensor/storage.h"

#include "core/base/memory.h"

GptStorage *gpt_storage_wrap(GptEnv *env, GptDtype dtype, void *data, size_t bytes, void (*release)(GptStorage *),
                             void *owner) {
  GptStorage *storage = gpt_alloc(env, sizeof *storage);
  if (storage == NULL) return NULL;
  *storage = (GptStorage){
      .refs = 1, .env = env, .dtype = dtype, .bytes = bytes, .data = data, .release = release, .owner = owner};
  return storage;
}

GptStorage *gpt_storage_new(GptEnv *env, GptDtype dtype, size_t bytes, bool zeroed) {
  void *data = zeroed ? gpt_alloc_zeroed(env, bytes) : gpt_alloc(env, bytes);
  if (data == NULL) return NULL;
  GptStorage *storage = gpt_storage_wrap(env, dtype, data, bytes, NULL, NULL);
  if (storage == NULL) gpt_free(env, data);
  return storage;
}

void gpt_storage_release(GptStorage *storage) {
  if (storage == NULL || --storage->refs > 0) return;
  gpt_storage_release(storage->panels_home);
  if (storage->release != NULL) storage->release(storage);
  else gpt_free(storage->env, storage->data);
  gpt_free(storage->env, storage);
}

bool gpt_storage_exclusive(const GptStorage *storage) { return storage->refs == 1 && storage->release == NULL; }
