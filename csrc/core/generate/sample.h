/*
 * Sampling: from one row of logits to one id.
 *
 * The distribution that is drawn from is made in this fixed order, the one of transformers' logits processors:
 *
 *   1. repetition_penalty r: the logit x of every id seen so far becomes x / r where x > 0, and x * r where x < 0
 *      (CTRL: Keskar et al. 2019, section 4.1; the sign rule is transformers');
 *   2. temperature t: every logit is divided by t. At 0 the result is the id with the greatest logit, the lowest
 *      one of equals, and the steps below do not matter;
 *   3. top_k k: ids with a logit below the k-th greatest are dropped; equals of the k-th stay (Fan et al. 2018);
 *   4. top_p p: from the most likely id down, an id stays while the ones before it sum up to less than p of what step 3
 *      left (nucleus sampling: Holtzman et al. 2019); of equals the lower ids come first;
 *   5. min_p m: ids less likely than m times the most likely one are dropped (Nguyen et al. 2024).
 *
 * What is left is drawn from by its softmax, with one random double; temperature 0 draws no random number.
 * -inf is a logit like any other (never drawn); nan and inf are errors.
 *
 * A log probability, where it is asked for, is the model's own: the log-softmax of the logits as they came, before
 * step 1.
 */
#ifndef GPT_SAMPLE_H
#define GPT_SAMPLE_H

#include "core/base/env.h"

typedef struct GptSampling {
  double temperature;        /* 0 or more, finite */
  int64_t top_k;             /* 1 or more; 0: all */
  double top_p;              /* in (0, 1] */
  double min_p;              /* in [0, 1] */
  double repetition_penalty; /* more than 0, finite; 1: none */
} GptSampling;

/* Options, the ids seen, and the buffers: a draw allocates only where the vocabulary grew. */
typedef struct GptSampler GptSampler;

GptSampler *gpt_sampler_new(GptEnv *env, const GptSampling *options);
void gpt_sampler_free(GptSampler *sampler); /* NULL is fine */

/* Counts n ids among those seen, for the penalty; or forgets them all. */
bool gpt_sampler_see(GptSampler *sampler, const int64_t *ids, int64_t n);
void gpt_sampler_forget(GptSampler *sampler);

/* Draws an id from logits [vocab], and its log probability where that is not NULL. A failed draw uses no random
   number. */
bool gpt_sampler_draw(GptSampler *sampler, GptRandom *random, const float *logits, int64_t vocab, int64_t *id,
                      double *log_probability);

/* The log probability of an id under the log-softmax of logits [vocab]. */
double gpt_log_probability(const float *logits, int64_t vocab, int64_t id);

/* Writes the distribution that a draw would draw from into probabilities [vocab], which may be logits. */
bool gpt_sampler_distribution(GptSampler *sampler, const float *logits, int64_t vocab, float *probabilities);

#endif
