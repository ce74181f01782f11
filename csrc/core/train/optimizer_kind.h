/*
 * A kind of optimizer: what it is called, the rates and moments it has, and how it updates n numbers. A new one is one
 * file with such a table, a kernel (kernels/), and a line in gpt_optimizer_kinds.
 */
#ifndef GPT_OPTIMIZER_KIND_H
#define GPT_OPTIMIZER_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/kernels.h"

#define GPT_RATES 5   /* numbers of a group at most */
#define GPT_MOMENTS 2 /* of a parameter at most */

typedef enum GptRateType {
  GPT_RATE_NUMBER, /* finite, at least 0 */
  GPT_RATE_SHARE,  /* from 0 to less than 1 */
  GPT_RATE_SHARES, /* two of these, as betas: two numbers of the group's */
  GPT_RATE_SWITCH, /* 0 or 1: false or true */
} GptRateType;

/* A setting of a group, beside its learning rate. */
typedef struct GptRateRow {
  const char *name; /* "weight_decay"; NULL ends the list */
  GptRateType type;
  double otherwise[2]; /* where it is not given */
} GptRateRow;

typedef struct GptMomentRow {
  const char *name; /* in saved states: "exp_avg" */
  bool positive;    /* never below 0 */
} GptMomentRow;

typedef struct GptOptimizerKind {
  const char *name;        /* "AdamW" */
  double lr;               /* where none is given */
  const GptRateRow *rates; /* in the order of a group's numbers */
  GptMomentRow moments[GPT_MOMENTS];
  /* How many moments there are with these rates. */
  int (*count_moments)(const double *rates);
  /* What is wrong with rates that are right one by one; NULL: nothing. This itself may be NULL. */
  const char *(*misfit)(const double *rates);
  /* The numbers of a parameter's step, its first being 1. */
  GptStepNumbers (*numbers)(const double *rates, double lr, int64_t step);
  /* Updates n numbers of a parameter and of its moments. */
  void (*update)(float *w, float *const *moments, const float *grad, const GptStepNumbers *numbers, int64_t n);
} GptOptimizerKind;

extern const GptOptimizerKind gpt_adamw, gpt_sgd;

/* All of them; NULL ends the list. */
extern const GptOptimizerKind *const gpt_optimizer_kinds[];

#endif
