/*
 * The processes that work together, over a GptTransport, or this one alone. Sums are made in the order of the ranks, by
 * one rank for each number, and sent to all: so every rank has the same bits, every time.
 *
 * Every rank makes the same calls in the same order. A call that fails has left the ranks in unlike states: what they do
 * together cannot go on.
 */
#ifndef GPT_WORLD_H
#define GPT_WORLD_H

#include "core/base/transport.h"
#include "core/tensor/tensor.h"

typedef struct GptWorld {
  GptEnv *env;
  const GptTransport *transport; /* NULL: alone */
  int rank, size;
  GptPiece *out, *in; /* [size]: what the next exchange sends and receives */
} GptWorld;

/* transport: NULL for one process alone. NULL and a message where it is another version's, or without memory. */
GptWorld *gpt_world_new(GptEnv *env, const GptTransport *transport);
void gpt_world_free(GptWorld *world); /* NULL is fine */

/* Begins to send world->out and to receive world->in; both may be filled anew at once, their memory may not. */
void *gpt_world_begin(GptWorld *world);
bool gpt_world_finish(GptWorld *world, void *exchange);

/* all[size * bytes]: the bytes of every rank, by rank. */
bool gpt_world_gather(GptWorld *world, const void *own, size_t bytes, void *all);

/* whole = the parts of all ranks one after the other, by rank; both contiguous. On rank 0, or everywhere; the others give
   NULL as whole. False and a message where that is not what fits. */
bool gpt_world_join(GptWorld *world, const GptTensor *part, GptTensor *whole, bool everywhere);

/* to[n] = from[0] + from[1] + ... in this order; to may be one of them. */
void gpt_sum_of_ranks(float *to, float *const *from, int size, int64_t n);

/* What scripts call, which is checked for being the same on all ranks. The tensor, of f32 or i64, becomes the sum of
   all ranks'; or, of any dtype, the root's. */
bool gpt_world_all_reduce(GptWorld *world, GptTensor *tensor);
bool gpt_world_broadcast(GptWorld *world, GptTensor *tensor, int root);
bool gpt_world_barrier(GptWorld *world);

#endif
