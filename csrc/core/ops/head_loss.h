/* An output head and the loss over it, as one op that never holds all the logits. */
#ifndef GPT_HEAD_LOSS_H
#define GPT_HEAD_LOSS_H

#include "core/tensor/tensor.h"

/*
 * The same as gpt_cross_entropy(gpt_linear(x, weight, bias), targets): the mean over the targets that count; recorded.
 * x [..., k], weight [vocabulary, k], bias [vocabulary] or NULL, targets i64 [...]. softcap: of the logits
 * (gpt_softcap); 0: none.
 *
 * Logits live for some rows of x at a time. While this is recorded, the gradients of those rows and of the weight are
 * taken in the same pass, where the logits are still at hand; the backward only hands them out. (Chunked losses of this
 * kind: Wijmans et al. 2024; Hsu et al. 2024.)
 */
GptTensor *gpt_head_loss(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, GptTensor *targets,
                         double softcap);

/* What the same logits say of each target, as gpt_logit_scores does; not recorded. */
GptTensor *gpt_head_scores(GptEnv *env, GptTensor *x, GptTensor *weight, GptTensor *bias, GptTensor *targets,
                           double softcap);

#endif
