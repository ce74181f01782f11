/*
 * Memory that the environments of a process share: numbers that were read from a file and are only read from then on.
 * Two Lua states (or two loads in one) that read the same tensor of the same file hold one copy of it, which is freed
 * with its last holder. Counts here are guarded by a lock; each environment counts the bytes as live, once.
 *
 * Whoever writes into a tensor makes its storage private first (gpt_storage_make_private): the storage then has a copy
 * of its own, which all tensors over it see, and nobody else's numbers change.
 */
#ifndef GPT_SHARED_H
#define GPT_SHARED_H

#include "core/tensor/storage.h"

/* What tells one content from another: which file, in which state, and what of it. */
typedef struct GptSharedKey {
  uint64_t numbers[8];
} GptSharedKey;

/* A storage over what was offered under that key. NULL where there is nothing, or no room for it within the limit; no
 * message then. */
GptStorage *gpt_shared_find(GptEnv *env, GptDtype dtype, const GptSharedKey *key);

/* A storage over fresh memory that can be offered; NULL and a message on failure. */
GptStorage *gpt_shared_new(GptEnv *env, GptDtype dtype, size_t bytes);

/* From now on gpt_shared_find finds it: it is filled, and nothing is written into it any more. */
void gpt_shared_offer(GptStorage *storage, const GptSharedKey *key);

/* Before a write: gives the storage memory of its own where others hold it too. False and a message without memory. */
bool gpt_storage_make_private(GptStorage *storage);

#endif
