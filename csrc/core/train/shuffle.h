/*
 * A random order that takes no memory: where number i stands among n, for any n, without a list of all n.
 *
 * A Feistel network (Luby and Rackoff 1988) permutes the smallest range of 4^k numbers that holds n, and numbers
 * past n are sent round again (Black and Rogaway 2002).
 */
#ifndef GPT_SHUFFLE_H
#define GPT_SHUFFLE_H

#include <stdint.h>

/* 0 <= i < n to 0 .. n-1, each once; another key, another order. */
uint64_t gpt_shuffle(uint64_t i, uint64_t n, uint64_t key);

/* One key from two numbers. */
uint64_t gpt_shuffle_key(uint64_t a, uint64_t b);

#endif
