/* Digests: a number for some bytes, by which processes compare what each has. Nothing here keeps secrets. */
#ifndef GPT_DIGEST_H
#define GPT_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t gpt_digest(const void *data, size_t bytes);

#endif
