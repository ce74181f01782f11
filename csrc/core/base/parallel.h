/*
 * The thread pool. It belongs to the process, starts at the first loop that is worth it, and survives fork (the child
 * starts its own). Its threads block every signal, so that the host's signals stay the host's.
 *
 * No number depends on where work is cut or on who computes an item: so the same ones come out for any number of
 * threads.
 */
#ifndef GPT_PARALLEL_H
#define GPT_PARALLEL_H

#include <stdbool.h>
#include <stdint.h>

/* Computes the items first .. last-1. */
typedef void (*GptTask)(void *context, int64_t first, int64_t last);

/*
 * Runs task over the items 0 .. n-1 in pieces of `grain` items, on the calling thread and the pool; returns when all
 * are done. A loop inside a loop, and one that comes while another Lua state's loop holds the pool, runs on the
 * calling thread alone. grain says how many items are worth a hand-over to another thread (some 20 microseconds of
 * work).
 */
void gpt_parallel_for(int64_t n, int64_t grain, GptTask task, void *context);

/* The grain for items of that cost each, counted in floats that a simple loop goes over: an addition of n floats costs
 * n, where each takes an exp or a random number 4 n. */
int64_t gpt_grain(int64_t cost);

/* A thread's share of n items, or half of it where it is more than `halved`: a grain for items that come in long runs
 * of memory, and give the same numbers wherever they are cut. */
int64_t gpt_thread_share(int64_t n, int64_t halved);

/* How many threads compute, the caller included. 0 at set: as many as the process may use (affinity, cgroup quota);
   that is also the default. Threads that are too many have ended when it returns, once the loop that runs is done. */
void gpt_threads_set(int count);
int gpt_threads(void);

#endif
