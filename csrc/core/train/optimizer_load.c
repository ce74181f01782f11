/* Saved states, put into an optimizer. */
#include "core/train/optimizer.h"

#include "core/base/array.h"
#include "core/base/memory.h"

/* A copy of a whole moment, or of its rows that the optimizer steps. */
static bool copy_moment(const GptOptimizer *optimizer, const GptOptimizerParameter *parameter, const GptMoment *moment,
                        GptMomentDtype dtype, bool positive, GptMoment *copy) {
  GptMoment rows = {NULL, NULL};
  GptEnv *env = optimizer->env;
  GptMomentDtype own = optimizer->moment_dtype;
  if (!parameter->shared) return gpt_moment_copy(env, moment, dtype, positive, copy, own, parameter->tensor);
  bool done = gpt_moment_rows(env, moment, dtype, parameter->tensor, parameter->share, &rows) &&
              gpt_moment_copy(env, &rows, dtype, positive, copy, own, parameter->rows);
  gpt_moment_drop(&rows);
  return done;
}

/* Copies of one parameter's moments, made before anything changes. */
static bool copy_moments(const GptOptimizer *optimizer, const GptParameterState *state, GptMomentDtype dtype,
                         GptMoment *copies) {
  const GptOptimizerParameter *parameter = state->parameter;
  const GptUpdateRule *rule = gpt_optimizer_rule(optimizer, parameter);
  for (int m = 0; m < rule->n_moments && state->steps > 0; m++) {
    const GptMomentRow *row = &rule->moments[m];
    const GptMoment *moment = &state->moments[m];
    if (!gpt_moment_check(optimizer->env, moment, dtype, parameter->tensor, row->name, parameter->name)) return false;
    if (!copy_moment(optimizer, parameter, moment, dtype, row->positive, &copies[m])) return false;
  }
  return true;
}

static void put_moments(GptOptimizerParameter *parameter, int64_t steps, const GptMoment *moments) {
  for (int m = 0; m < GPT_MOMENTS; m++) parameter->moments[m] = moments[m];
  parameter->steps = steps;
}

bool gpt_optimizer_load(GptOptimizer *optimizer, int64_t n, const GptParameterState *states, GptMomentDtype dtype) {
  GptMoment *copies = gpt_alloc_array_zeroed(optimizer->env, GPT_MOMENTS * n, sizeof *copies);
  bool done = copies != NULL;
  for (int64_t i = 0; i < n && done; i++)
    done = copy_moments(optimizer, &states[i], dtype, copies + GPT_MOMENTS * i);
  for (int64_t i = 0; i < optimizer->count && done; i++) {
    gpt_moments_drop(optimizer->parameters[i].moments);
    optimizer->parameters[i].steps = 0;
  }
  for (int64_t i = 0; i < n && copies != NULL; i++) {
    if (done) put_moments(states[i].parameter, states[i].steps, copies + GPT_MOMENTS * i);
    else gpt_moments_drop(copies + GPT_MOMENTS * i);
  }
  gpt_free(optimizer->env, copies);
  return done;
}
