/* The slots of the tokenizer's hash tables: numbers, 0 in an empty one, in a table of a power of two. */
#ifndef GPT_SLOTS_H
#define GPT_SLOTS_H

#include "core/base/env.h"

/* Puts a table of `wanted` empty slots in the place of *slots (*count of them; NULL at first), to be filled anew. On
 * failure false and a message, and the old table stays. */
bool gpt_slots_renew(GptEnv *env, uint32_t **slots, size_t *count, size_t wanted);

#endif
