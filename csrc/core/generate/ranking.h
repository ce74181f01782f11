/* Where in a list of scores, from the greatest down, a sum is reached: a selection without sorting. */
#ifndef GPT_RANKING_H
#define GPT_RANKING_H

#include <stdint.h>

/*
 * Goes through scores [n] from the greatest down, summing weights [n] (NULL: 1 each), and returns the score at which
 * the sum reaches `wanted` (the last one, where rounding keeps it below). *above is the sum over greater scores. Scores
 * are no nan, and no -0. weights are not negative, and not all 0.
 */
float gpt_rank_score(const float *scores, const float *weights, int64_t n, double wanted, double *above);

/* Quickly, a score that at least k of the n scores reach, near the k-th where k is small; -inf where k is large.
   room: for n floats. */
float gpt_rank_bound(const float *scores, int64_t n, int64_t k, float *room);

typedef struct GptGreatest {
  float score; /* -inf where there is none, nan where a score is nan or inf */
  int64_t id;  /* the first that has it */
} GptGreatest;

/* The greatest of n scores. */
GptGreatest gpt_rank_greatest(const float *scores, int64_t n);

#endif
