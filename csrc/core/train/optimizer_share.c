/* Optimizers that step a share of each parameter. */
#include "core/train/optimizer.h"

static bool cut_moments(GptOptimizer *optimizer, GptOptimizerParameter *parameter, GptMoment *cut) {
  for (int m = 0; m < GPT_MOMENTS; m++) {
    GptMoment rows = {NULL, NULL};
    const GptMoment *whole = &parameter->moments[m];
    if (whole->numbers == NULL) continue;
    GptMomentDtype dtype = optimizer->moment_dtype;
    bool done = gpt_moment_rows(optimizer->env, whole, dtype, parameter->tensor, parameter->share, &rows) &&
                gpt_moment_copy(optimizer->env, &rows, dtype, false, &cut[m], dtype, parameter->rows);
    gpt_moment_drop(&rows);
    if (!done) return false;
  }
  return true;
}

bool gpt_optimizer_share(GptOptimizer *optimizer, GptOptimizerParameter *parameter, GptShare share) {
  GptMoment cut[GPT_MOMENTS] = {{NULL, NULL}};
  parameter->rows = gpt_share_view(optimizer->env, parameter->tensor, share);
  parameter->share = share;
  parameter->shared = true;
  bool done = parameter->rows != NULL && cut_moments(optimizer, parameter, cut);
  for (int m = 0; m < GPT_MOMENTS; m++) {
    gpt_moment_drop(done ? &parameter->moments[m] : &cut[m]);
    if (done) parameter->moments[m] = cut[m];
  }
  if (!done) gpt_tensor_release(parameter->rows), parameter->rows = NULL, parameter->shared = false;
  return done;
}

void gpt_optimizer_unshare(GptOptimizerParameter *parameter) {
  for (int m = 0; m < GPT_MOMENTS; m++) gpt_moment_drop(&parameter->moments[m]);
  gpt_tensor_release(parameter->rows);
  parameter->rows = NULL;
  parameter->shared = false;
  parameter->steps = 0;
}

const GptTensor *gpt_optimizer_stepped(const GptOptimizerParameter *parameter) {
  return parameter->rows != NULL ? parameter->rows : parameter->tensor;
}
