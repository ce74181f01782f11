/*
 * Stochastic gradient descent, as torch.optim.SGD computes it, with momentum (Polyak 1964) or Nesterov's (1983) where
 * asked for:
 *
 *   g = grad + weight_decay * w
 *   buffer = momentum * buffer + g
 *   w = w - lr * (without momentum g; with it buffer; Nesterov's: g + momentum * buffer)
 */
#include <stddef.h>

#include "core/train/optimizer_kind.h"

enum { MOMENTUM, NESTEROV, WEIGHT_DECAY };

static const GptRateRow rates[] = {{"momentum", GPT_RATE_SHARE, {0}},
                                   {"nesterov", GPT_RATE_SWITCH, {0}},
                                   {"weight_decay", GPT_RATE_NUMBER, {0}},
                                   {.name = NULL}};

static const char *sgd_misfit(const double *r) {
  return r[NESTEROV] != 0 && r[MOMENTUM] == 0 ? "nesterov: needs a momentum above 0" : NULL;
}

static GptStepNumbers sgd_numbers(const double *r, double lr, int64_t step) {
  (void)step;
  return (GptStepNumbers){.sgd = {.rate = (float)lr,
                                  .decay = (float)r[WEIGHT_DECAY],
                                  .momentum = (float)r[MOMENTUM],
                                  .nesterov = r[NESTEROV] != 0}};
}

static void sgd_update(float *w, float *const *moments, const float *grad, const GptStepNumbers *s, int64_t n) {
  gpt_kernels()->sgd(w, moments[0], grad, &s->sgd, n);
}

static const GptUpdateRule plain = {.numbers = sgd_numbers, .update = sgd_update};

static const GptUpdateRule with_momentum = {
    .n_moments = 1, .moments = {{"momentum_buffer", false}}, .numbers = sgd_numbers, .update = sgd_update};

static const GptUpdateRule *sgd_rule(const double *r, int ndim, const int64_t *shape) {
  (void)ndim, (void)shape;
  return r[MOMENTUM] > 0 ? &with_momentum : &plain;
}

const GptOptimizerKind gpt_sgd = {.name = "SGD", .lr = 1e-3, .rates = rates, .misfit = sgd_misfit, .rule = sgd_rule};
