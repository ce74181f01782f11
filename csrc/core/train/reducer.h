/*
 * Training with several ranks: their gradients added up, while backward still computes the next ones, and what each rank
 * has stepped sent to all.
 *
 * Parameters are put into buckets, from the last to the first, as backward finishes them; which and how large depends on
 * their shapes alone. A bucket's exchange begins when its gradients are whole, never before that of the bucket in front
 * of it: so all ranks make the same exchanges in the same order. A rank receives the gradients of its shares from all
 * others, and adds them up in the order of the ranks: the same number of ranks gives the same bits.
 *
 * A step: gpt_reducer_watch before the last backward (which may be left out), gpt_reducer_finish after it; clipping; the
 * optimizer's step over this rank's shares; gpt_reducer_gather.
 */
#ifndef GPT_REDUCER_H
#define GPT_REDUCER_H

#include "core/train/share.h"
#include "core/train/world.h"

typedef struct GptReducer GptReducer;

/* Of these parameters, f32, the same on all ranks; references to them are held, the world is borrowed. */
GptReducer *gpt_reducer_new(GptWorld *world, int64_t n, GptTensor *const *parameters);
void gpt_reducer_free(GptReducer *reducer); /* NULL is fine */

/* The position of a parameter, or -1. */
int64_t gpt_reducer_find(const GptReducer *reducer, const GptTensor *parameter);
int64_t gpt_reducer_count(const GptReducer *reducer);
GptShare gpt_reducer_share(const GptReducer *reducer, int64_t i); /* of this rank */

/* Of how many buckets the exchanges have begun, and how many buckets there are. */
int64_t gpt_reducer_begun(const GptReducer *reducer);
int64_t gpt_reducer_buckets(const GptReducer *reducer);

/* The next backward is the last one before the step: exchanges begin as it goes. */
void gpt_reducer_watch(GptReducer *reducer);

/*
 * Now the gradient of every share is the sum of all ranks', those without one counted as zeros. The other numbers of a
 * gradient mean nothing. A parameter that has a gradient on no rank has none, any other has one everywhere.
 */
bool gpt_reducer_finish(GptReducer *reducer);

/* squares[count]: the sums of the squares of each parameter's whole gradient. */
bool gpt_reducer_squares(GptReducer *reducer, double *squares);

/* Multiplies the gradients of this rank's shares. */
void gpt_reducer_scale(GptReducer *reducer, double factor);

/* Sends the rows of all shares to all: of the parameters, or of their gradients. */
bool gpt_reducer_gather(GptReducer *reducer, bool gradients);

#endif
