/*
 * Optimizers. What one computes is its kind: a small table of functions (optimizer_kind.h), one file for each. All else
 * is here: parameters in groups with rates of their own, moments, steps, saved states.
 *
 * An optimizer holds references to its parameters. A parameter without gradient is passed over: neither its steps nor
 * its moments move, and it has no moments before its first step. So whoever steps a part of them leaves gradients to
 * that part. Or it steps a share of each (share.h), for which alone there are moments then: the rest is another process's.
 */
#ifndef GPT_OPTIMIZER_H
#define GPT_OPTIMIZER_H

#include "core/base/text.h"
#include "core/tensor/tensor.h"
#include "core/train/moment.h"
#include "core/train/optimizer_kind.h"
#include "core/train/share.h"

typedef struct GptOptimizerGroup {
  double lr_scale;         /* the group's lr is the optimizer's times this */
  double rates[GPT_RATES]; /* the kind's, in its order */
} GptOptimizerGroup;

typedef struct GptOptimizerParameter {
  char *name;
  int64_t group;
  GptTensor *tensor;              /* f32 of any shape and strides: a reference */
  bool shared;                    /* only this share is stepped, */
  GptShare share;
  GptTensor *rows;                /* which is this view, made anew for each step; NULL: the whole */
  GptMoment moments[GPT_MOMENTS]; /* of its rule, of what is stepped; empty before the first step */
  int64_t steps;
} GptOptimizerParameter;

typedef struct GptOptimizer {
  GptEnv *env;
  const GptOptimizerKind *kind;
  GptMomentDtype moment_dtype;
  double lr;
  GptOptimizerGroup *groups;         /* [n_groups] */
  GptOptimizerParameter *parameters; /* [count] */
  int64_t n_groups, count;
  size_t groups_capacity, capacity;
} GptOptimizer;

GptOptimizer *gpt_optimizer_new(GptEnv *env, const GptOptimizerKind *kind, GptMomentDtype moment_dtype, double lr);
void gpt_optimizer_free(GptOptimizer *optimizer); /* NULL is fine */

/* Groups come first, then their parameters, under names that messages and saved states use. A parameter is an f32 leaf
   that stands in one place only. */
bool gpt_optimizer_add_group(GptOptimizer *optimizer, GptOptimizerGroup group);
bool gpt_optimizer_add(GptOptimizer *optimizer, int64_t group, const char *name, GptTensor *tensor);

/* From now on only these rows of the parameter are stepped; moments that are there are cut. The other makes it whole
   again: without moments, which gpt_optimizer_load brings back. False and a message without memory. */
bool gpt_optimizer_share(GptOptimizer *optimizer, GptOptimizerParameter *parameter, GptShare share);
void gpt_optimizer_unshare(GptOptimizerParameter *parameter);

/* What is stepped of a parameter: the share's rows, or the whole. */
const GptTensor *gpt_optimizer_stepped(const GptOptimizerParameter *parameter);

/* The rule by which a parameter is updated: how many moments it has, and which. */
const GptUpdateRule *gpt_optimizer_rule(const GptOptimizer *optimizer, const GptOptimizerParameter *parameter);

/* Can all parameters be stepped in shares? Not where a rule needs whole matrices. */
bool gpt_optimizer_divides(const GptOptimizer *optimizer);

/* One step for every parameter that has a gradient; on failure (memory) no parameter has changed. */
bool gpt_optimizer_step(GptOptimizer *optimizer);

/* Lets go of all gradients; their memory is kept for the next ones. False as of gpt_tensor_set_grad. */
bool gpt_optimizer_zero_grad(GptOptimizer *optimizer);

/* By name, or NULL. */
GptOptimizerParameter *gpt_optimizer_find(const GptOptimizer *optimizer, const char *name);

/* Lets go of a parameter's moments, GPT_MOMENTS of them. */
void gpt_moments_drop(GptMoment *moments);

/* Can the parameter be trained? False and a message where not: it has become another dtype since. */
bool gpt_optimizer_check(const GptOptimizer *optimizer, const GptOptimizerParameter *parameter);

/* The largest number of steps of any parameter. */
int64_t gpt_optimizer_most_steps(const GptOptimizer *optimizer);

/* `AdamW { lr = 0.001, ... }  -- 3 parameters, 1,234; 20 steps`, a line for each group where there are several. */
void gpt_optimizer_print(const GptOptimizer *optimizer, GptText *text);

/* What load_state puts into one parameter; its moments are borrowed, empty with steps = 0. */
typedef struct GptParameterState {
  GptOptimizerParameter *parameter;
  int64_t steps;
  GptMoment moments[GPT_MOMENTS];
} GptParameterState;

/* Takes over copies of n states, whose moments are of that dtype: another one than the optimizer's own is converted.
   Parameters that are not among them begin anew. Moments are of whole parameters: of a shared one its rows are copied.
   Checks shapes; all or nothing. */
bool gpt_optimizer_load(GptOptimizer *optimizer, int64_t n, const GptParameterState *states, GptMomentDtype dtype);

/*
 * The norm of all gradients together, left in *norm; where it is above max, every gradient is multiplied by
 * max / (norm + 1e-6) (Pascanu, Mikolov and Bengio 2013). Tensors without gradient are passed over. The same number
 * comes out for any number of threads.
 */
bool gpt_clip_grad_norm(GptEnv *env, int64_t n, GptTensor *const *tensors, double max, double *norm);

#endif
