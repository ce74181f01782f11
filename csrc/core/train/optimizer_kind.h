/*
 * A kind of optimizer: what it is called, the rates it has, and the rule by which it updates a parameter. A new one is
 * one file with such tables, a kernel (kernels/), and a constructor in the binding.
 */
#ifndef GPT_OPTIMIZER_KIND_H
#define GPT_OPTIMIZER_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "core/kernels/kernels.h"

#define GPT_RATES 7   /* numbers of a group at most */
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

typedef struct GptMatrixStep {
  float keep, rate;
} GptMatrixStep;

typedef struct GptMomentRow {
  const char *name; /* in saved states: "exp_avg" */
  bool positive;    /* never below 0 */
} GptMomentRow;

/* What a rule that needs whole matrices does with one. */
typedef struct GptMatrixRule {
  /* Floats of scratch for a matrix. */
  int64_t (*scratch)(int64_t rows, int64_t columns);
  /* Makes another direction of what `update` left, [rows, columns], in place. */
  void (*direct)(float *direction, int64_t rows, int64_t columns, float *scratch);
  /* w = keep * w - rate * direction: the numbers for a matrix. */
  GptMatrixStep (*numbers)(const double *rates, double lr, int64_t rows, int64_t columns);
} GptMatrixRule;

typedef struct GptUpdateRule {
  int n_moments;
  GptMomentRow moments[GPT_MOMENTS];
  /* The numbers of a parameter's step, its first being 1. */
  GptStepNumbers (*numbers)(const double *rates, double lr, int64_t step);
  /* Updates n numbers of a parameter and of its moments. */
  void (*update)(float *w, float *const *moments, const float *grad, const GptStepNumbers *numbers, int64_t n);
  /* Not NULL: the parameter is a matrix, and what is updated is a direction that begins as 0. */
  const GptMatrixRule *matrix;
} GptUpdateRule;

typedef struct GptOptimizerKind {
  const char *name;        /* "AdamW" */
  double lr;               /* where none is given */
  const GptRateRow *rates; /* in the order of a group's numbers */
  /* What is wrong with rates that are right one by one; NULL: nothing. This itself may be NULL. */
  const char *(*misfit)(const double *rates);
  /* The rule for a parameter of that shape in a group with these rates. */
  const GptUpdateRule *(*rule)(const double *rates, int ndim, const int64_t *shape);
} GptOptimizerKind;

extern const GptOptimizerKind gpt_adamw, gpt_sgd, gpt_muon;

/* AdamW's: its rates come first in whatever kind uses it too. */
extern const GptUpdateRule gpt_adamw_rule;

#endif
