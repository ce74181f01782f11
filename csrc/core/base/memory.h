/*
 * Memory: every byte of the core comes from here, is counted, and is 64-byte aligned.
 *
 * Freed blocks are kept by size and handed out again, so that a training step or a decoded token
 * that repeats the one before it asks the system for nothing. Before a large block is asked for, the sum is
 * compared with the limit and with what the machine and its cgroup still have, because a
 * system that overcommits memory says yes first and ends the process later.
 */
#ifndef GPT_MEMORY_H
#define GPT_MEMORY_H

#include "core/base/env.h"

/* A block of that many bytes (0 is allowed), uninitialised or zeroed. NULL and a message on failure. */
void *gpt_alloc(GptEnv *env, size_t bytes);
void *gpt_alloc_zeroed(GptEnv *env, size_t bytes);

/* A block that is walked over again and again: in huge pages where it is large. */
void *gpt_alloc_for_walks(GptEnv *env, size_t bytes);

/* Grows or shrinks a block (NULL: a new one). On failure NULL and a message, and the old block stays. */
void *gpt_realloc(GptEnv *env, void *block, size_t bytes);

/* Gives a block back; NULL is fine. */
void gpt_free(GptEnv *env, void *block);

/* False and a message where that many more bytes go past the limit or past what the machine has. */
bool gpt_memory_fits(GptEnv *env, size_t bytes);

/* Counts bytes that somebody else allocates, and counts them no more. */
void gpt_memory_count(GptEnv *env, size_t bytes);
void gpt_memory_discount(GptEnv *env, size_t bytes);

/* Asks the system for huge pages where they lie in a fresh block whole: it is there several times sooner, and long walks
 * over it are faster. A hint; systems without them lose nothing. */
void gpt_prefer_huge_pages(void *data, size_t bytes);

/* Returns the cached blocks to the system. */
void gpt_trim(GptEnv *env);

/* Bytes as people read them, "621.83 MiB", into text (32 bytes); returns text. */
const char *gpt_format_bytes(size_t bytes, char *text);

#endif
