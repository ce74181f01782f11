/* Optimizers, printed. */
#include <stdio.h>

#include "core/train/optimizer.h"

int64_t gpt_optimizer_most_steps(const GptOptimizer *optimizer) {
  int64_t most = 0;
  for (int64_t i = 0; i < optimizer->count; i++)
    if (optimizer->parameters[i].steps > most) most = optimizer->parameters[i].steps;
  return most;
}

/* 1234567 as "1,234,567" */
static void add_grouped(GptText *text, int64_t n) {
  char digits[24];
  int length = snprintf(digits, sizeof digits, "%lld", (long long)n);
  for (int i = 0; i < length; i++) gpt_text_add(text, "%s%c", i > 0 && (length - i) % 3 == 0 ? "," : "", digits[i]);
}

/* Parameters and numbers of a group. */
static void add_counts(GptText *text, const GptOptimizer *optimizer, int64_t group) {
  int64_t parameters = 0, numbers = 0;
  for (int64_t i = 0; i < optimizer->count; i++) {
    if (optimizer->parameters[i].group != group) continue;
    parameters++;
    numbers += gpt_tensor_numel(optimizer->parameters[i].tensor);
  }
  gpt_text_add(text, "  -- %lld parameter%s, ", (long long)parameters, parameters == 1 ? "" : "s");
  add_grouped(text, numbers);
}

/* ", weight_decay = 0.01"; returns how many numbers that is. */
static int add_rate(GptText *text, const GptRateRow *row, const double *rate) {
  switch (row->type) {
    case GPT_RATE_SHARES: gpt_text_add(text, ", %s = { %.14g, %.14g }", row->name, rate[0], rate[1]); return 2;
    case GPT_RATE_SWITCH: gpt_text_add(text, ", %s = %s", row->name, *rate != 0 ? "true" : "false"); return 1;
    default: gpt_text_add(text, ", %s = %.14g", row->name, *rate); return 1;
  }
}

/* "lr = 0.001, ..., weight_decay = 0.01" */
static void add_rates(GptText *text, const GptOptimizer *optimizer, int64_t group) {
  const GptOptimizerGroup *g = &optimizer->groups[group];
  const double *rate = g->rates;
  gpt_text_add(text, "lr = %.14g", optimizer->lr * g->lr_scale);
  for (const GptRateRow *row = optimizer->kind->rates; row->name != NULL; row++) rate += add_rate(text, row, rate);
}

/* `moment_dtype = "q8"` between two texts, where it is not the usual one */
static void add_moment_dtype(GptText *text, const GptOptimizer *optimizer, const char *before, const char *after) {
  if (optimizer->moment_dtype == GPT_MOMENT_F32) return;
  gpt_text_add(text, "%smoment_dtype = \"%s\"%s", before, gpt_moment_dtype_name(optimizer->moment_dtype), after);
}

static void add_steps(GptText *text, const GptOptimizer *optimizer) {
  int64_t most = gpt_optimizer_most_steps(optimizer);
  gpt_text_add(text, "; %lld step%s", (long long)most, most == 1 ? "" : "s");
}

static void print_groups(GptText *text, const GptOptimizer *optimizer) {
  add_moment_dtype(text, optimizer, " ", ",");
  gpt_text_add(text, "  -- %lld groups", (long long)optimizer->n_groups);
  add_steps(text, optimizer);
  for (int64_t i = 0; i < optimizer->n_groups; i++) {
    gpt_text_add(text, "\n  { ");
    add_rates(text, optimizer, i);
    gpt_text_add(text, " },");
    add_counts(text, optimizer, i);
  }
  gpt_text_add(text, "\n}");
}

void gpt_optimizer_print(const GptOptimizer *optimizer, GptText *text) {
  gpt_text_add(text, "%s {", optimizer->kind->name);
  if (optimizer->n_groups > 1) {
    print_groups(text, optimizer);
    return;
  }
  gpt_text_add(text, " ");
  add_rates(text, optimizer, 0);
  add_moment_dtype(text, optimizer, ", ", "");
  gpt_text_add(text, " }");
  add_counts(text, optimizer, 0);
  add_steps(text, optimizer);
}
