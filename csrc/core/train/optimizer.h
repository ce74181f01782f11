/*
 * AdamW (Loshchilov and Hutter 2019), as torch.optim.AdamW computes it. With t the parameter's steps so far, this one
 * included:
 *
 *   mean   = beta1 * mean + (1 - beta1) * grad
 *   square = beta2 * square + (1 - beta2) * grad^2
 *   w      = (1 - lr * weight_decay) * w - lr / (1 - beta1^t) * mean / (sqrt(square / (1 - beta2^t)) + eps)
 *
 * An optimizer holds references to its parameters, in groups with rates of their own. A parameter without gradient is
 * passed over: neither its steps nor its moments move.
 */
#ifndef GPT_OPTIMIZER_H
#define GPT_OPTIMIZER_H

#include "core/tensor/tensor.h"

typedef struct GptAdamRates {
  double lr_scale; /* the group's lr is the optimizer's times this */
  double beta1, beta2, eps, weight_decay;
} GptAdamRates;

typedef struct GptAdamParameter {
  char *name;
  int64_t group;
  GptTensor *tensor;        /* f32 of any shape and strides: a reference */
  GptTensor *mean, *square; /* f32, contiguous, of the parameter's shape; NULL before its first step */
  int64_t steps;
} GptAdamParameter;

typedef struct GptAdamW {
  GptEnv *env;
  double lr;
  GptAdamRates *groups;         /* [n_groups] */
  GptAdamParameter *parameters; /* [count] */
  int64_t n_groups, count;
  size_t groups_capacity, capacity;
} GptAdamW;

GptAdamW *gpt_adamw_new(GptEnv *env, double lr);
void gpt_adamw_free(GptAdamW *adamw); /* NULL is fine */

/* Groups come first, then their parameters, under names that messages and saved states use. A parameter is an f32 leaf
   that stands in one place only. */
bool gpt_adamw_add_group(GptAdamW *adamw, GptAdamRates rates);
bool gpt_adamw_add(GptAdamW *adamw, int64_t group, const char *name, GptTensor *tensor);

/* One step for every parameter that has a gradient; on failure (memory) no parameter has changed. */
bool gpt_adamw_step(GptAdamW *adamw);

/* Lets go of all gradients; their memory is kept for the next ones. False as of gpt_tensor_set_grad. */
bool gpt_adamw_zero_grad(GptAdamW *adamw);

/* By name, or NULL. */
GptAdamParameter *gpt_adamw_find(const GptAdamW *adamw, const char *name);

/* What load_state puts into one parameter; mean and square are borrowed, NULL with steps = 0. */
typedef struct GptAdamMoments {
  GptAdamParameter *parameter;
  int64_t steps;
  GptTensor *mean, *square; /* of the parameter's shape */
} GptAdamMoments;

/* Takes over copies of n moments; parameters that are not among them begin anew. Checks shapes; all or nothing. */
bool gpt_adamw_load(GptAdamW *adamw, int64_t n, const GptAdamMoments *moments);

/*
 * The norm of all gradients together, left in *norm; where it is above max, every gradient is multiplied by
 * max / (norm + 1e-6) (Pascanu, Mikolov and Bengio 2013). Tensors without gradient are passed over. The same number
 * comes out for any number of threads.
 */
bool gpt_clip_grad_norm(GptEnv *env, int64_t n, GptTensor *const *tensors, double max, double *norm);

#endif
