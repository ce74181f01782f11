#include "core/train/optimizer.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

GptOptimizer *gpt_optimizer_new(GptEnv *env, const GptOptimizerKind *kind, GptMomentDtype moment_dtype, double lr) {
  GptOptimizer *optimizer = gpt_alloc_zeroed(env, sizeof *optimizer);
  if (optimizer == NULL) return NULL;
  optimizer->env = env;
  optimizer->kind = kind;
  optimizer->moment_dtype = moment_dtype;
  optimizer->lr = lr;
  return optimizer;
}

void gpt_moments_drop(GptMoment *moments) {
  for (int m = 0; m < GPT_MOMENTS; m++) gpt_moment_drop(&moments[m]);
}

void gpt_optimizer_free(GptOptimizer *optimizer) {
  if (optimizer == NULL) return;
  for (int64_t i = 0; i < optimizer->count; i++) {
    GptOptimizerParameter *parameter = &optimizer->parameters[i];
    gpt_free(optimizer->env, parameter->name);
    gpt_tensor_release(parameter->tensor);
    gpt_tensor_release(parameter->rows);
    gpt_moments_drop(parameter->moments);
  }
  gpt_free(optimizer->env, optimizer->parameters);
  gpt_free(optimizer->env, optimizer->groups);
  gpt_free(optimizer->env, optimizer);
}

bool gpt_optimizer_add_group(GptOptimizer *optimizer, GptOptimizerGroup group) {
  if (!GPT_GROW(optimizer->env, optimizer->groups, optimizer->groups_capacity, optimizer->n_groups, 1)) return false;
  optimizer->groups[optimizer->n_groups++] = group;
  return true;
}

static bool shares_memory(const GptTensor *tensor) {
  for (int d = 0; d < tensor->ndim; d++)
    if (tensor->stride[d] == 0 && tensor->shape[d] > 1) return true;
  return false;
}

static bool check_dtype(const GptOptimizer *optimizer, const char *name, const GptTensor *tensor) {
  return tensor->storage->dtype == GPT_F32 ||
         gpt_fail(optimizer->env,
                  "parameter '%.200s' is %s: training needs f32 weights; model:to \"f32\" converts them, and a list of "
                  "parameters leaves them out",
                  name, gpt_dtype_name(tensor->storage->dtype));
}

bool gpt_optimizer_check(const GptOptimizer *optimizer, const GptOptimizerParameter *parameter) {
  return check_dtype(optimizer, parameter->name, parameter->tensor);
}

static bool check_parameter(const GptOptimizer *optimizer, const char *name, const GptTensor *tensor) {
  GptEnv *env = optimizer->env;
  if (!check_dtype(optimizer, name, tensor)) return false;
  if (tensor->node != NULL)
    return gpt_fail(env, "parameter '%.200s' was computed from others; a leaf that requires a gradient expected", name);
  if (shares_memory(tensor))
    return gpt_fail(env, "parameter '%.200s' has elements that share memory (it was expanded)", name);
  for (int64_t i = 0; i < optimizer->count; i++)
    if (optimizer->parameters[i].tensor == tensor)
      return gpt_fail(env, "parameter '%.200s' is there already, as '%.200s'", name, optimizer->parameters[i].name);
  return true;
}

bool gpt_optimizer_add(GptOptimizer *optimizer, int64_t group, const char *name, GptTensor *tensor) {
  if (!check_parameter(optimizer, name, tensor)) return false;
  if (!GPT_GROW(optimizer->env, optimizer->parameters, optimizer->capacity, optimizer->count, 1)) return false;
  char *copy = gpt_copy_string(optimizer->env, name);
  if (copy == NULL) return false;
  optimizer->parameters[optimizer->count++] =
      (GptOptimizerParameter){.name = copy, .group = group, .tensor = gpt_tensor_retain(tensor)};
  return true;
}

const GptUpdateRule *gpt_optimizer_rule(const GptOptimizer *optimizer, const GptOptimizerParameter *parameter) {
  const double *rates = optimizer->groups[parameter->group].rates;
  return optimizer->kind->rule(rates, parameter->tensor->ndim, parameter->tensor->shape);
}

bool gpt_optimizer_divides(const GptOptimizer *optimizer) {
  for (int64_t i = 0; i < optimizer->count; i++)
    if (gpt_optimizer_rule(optimizer, &optimizer->parameters[i])->matrix != NULL) return false;
  return true;
}

bool gpt_optimizer_zero_grad(GptOptimizer *optimizer) {
  for (int64_t i = 0; i < optimizer->count; i++)
    if (!gpt_tensor_set_grad(optimizer->parameters[i].tensor, NULL)) return false;
  return true;
}

GptOptimizerParameter *gpt_optimizer_find(const GptOptimizer *optimizer, const char *name) {
  for (int64_t i = 0; i < optimizer->count; i++)
    if (strcmp(optimizer->parameters[i].name, name) == 0) return &optimizer->parameters[i];
  return NULL;
}
