/*
 * Blocks of one size that come and go one by one, side by side in larger pieces of memory (slabs): long walks over many
 * of them need huge pages of the system's, which blocks of their own would never fill. Slabs begin small and grow, so
 * that few blocks take little. Blocks that somebody holds count as live, the others as cached; a slab goes when its last
 * block does.
 */
#ifndef GPT_SLAB_H
#define GPT_SLAB_H

#include "core/base/env.h"

/* A block of that many bytes, uninitialised, 64-byte aligned, with one reference. NULL and a message on failure. */
void *gpt_slab_alloc(GptEnv *env, size_t bytes);

/* One more reference, which is returned; and does anybody else hold one? */
void *gpt_slab_retain(void *block);
bool gpt_slab_shared(const void *block);

/* Gives a reference back, and with the last one the block. */
void gpt_slab_release(GptEnv *env, void *block);

#endif
