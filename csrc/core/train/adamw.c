/*
 * AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it. With t the parameter's steps so far, this one
 * included:
 *
 *   mean   = beta1 * mean + (1 - beta1) * grad
 *   square = beta2 * square + (1 - beta2) * grad^2
 *   w      = (1 - lr * weight_decay) * w - lr / (1 - beta1^t) * mean / (sqrt(square / (1 - beta2^t)) + eps)
 */
#include <math.h>

#include "core/train/optimizer_kind.h"

enum { BETA_1, BETA_2, EPS, WEIGHT_DECAY };

static const GptRateRow rates[] = {{"betas", GPT_RATE_SHARES, {0.9, 0.999}},
                                   {"eps", GPT_RATE_NUMBER, {1e-8}},
                                   {"weight_decay", GPT_RATE_NUMBER, {0.01}},
                                   {.name = NULL}};

/* Computed in double, as PyTorch does. */
static GptStepNumbers adamw_numbers(const double *r, double lr, int64_t step) {
  double mean_correction = 1 - pow(r[BETA_1], (double)step), square_correction = 1 - pow(r[BETA_2], (double)step);
  GptAdamStep adamw = {
      .mean_share = (float)(1 - r[BETA_1]),
      .square_keep = (float)r[BETA_2],
      .square_share = (float)(1 - r[BETA_2]),
      .keep = (float)(1 - lr * r[WEIGHT_DECAY]),
      .rate = (float)(lr / mean_correction),
      .root_scale = (float)(1 / sqrt(square_correction)),
      .eps = (float)r[EPS],
  };
  return (GptStepNumbers){.adamw = adamw};
}

static void adamw_update(float *w, float *const *moments, const float *grad, const GptStepNumbers *s, int64_t n) {
  gpt_kernels()->adamw(w, moments[0], moments[1], grad, &s->adamw, n);
}

const GptUpdateRule gpt_adamw_rule = {
    .n_moments = 2,
    .moments = {{"exp_avg", false}, {"exp_avg_sq", true}},
    .numbers = adamw_numbers,
    .update = adamw_update,
};

static const GptUpdateRule *adamw_rule(const double *r, int ndim, const int64_t *shape) {
  (void)r, (void)ndim, (void)shape;
  return &gpt_adamw_rule;
}

const GptOptimizerKind gpt_adamw = {.name = "AdamW", .lr = 1e-3, .rates = rates, .rule = adamw_rule};
