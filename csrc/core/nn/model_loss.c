/* A model's loss, and how likely it finds tokens: its hidden states, then head and cross-entropy together where the head
   is a plain Linear. */
#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"
#include "core/nn/model.h"
#include "core/ops/cross_entropy.h"
#include "core/ops/head_loss.h"
#include "core/ops/scores.h"

static GptTensor *lose(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *hidden, GptTensor *targets) {
  GptLayer *layer = &model->layer;
  GptLayer *head = gpt_layer_child(layer, "head");
  if (head != NULL && head->kind == &gpt_linear_kind)
    return gpt_head_loss(env, hidden, gpt_layer_parameter(head, "weight"), gpt_layer_parameter(head, "bias"), targets,
                         model->config.logit_softcap);
  GptTensor *logits = gpt_layer_run(env, pass, layer, "head", hidden);
  logits = gpt_model_cap(env, model, logits);
  return gpt_tensor_then(logits, gpt_cross_entropy(env, logits, targets));
}

GptTensor *gpt_model_loss(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids, GptTensor *targets) {
  char a[GPT_SHAPE_TEXT], b[GPT_SHAPE_TEXT];
  if (!gpt_same_shape(ids, targets))
    return gpt_fail_null(env, "loss: ids of shape %s and targets of shape %s do not fit; each id needs one target",
                         gpt_tensor_shape_text(ids, a), gpt_tensor_shape_text(targets, b));
  gpt_tensor_retain(ids); /* a host's layer may free what it was given */
  gpt_tensor_retain(targets);
  GptTensor *hidden = gpt_model_hidden(env, pass, model, ids);
  GptTensor *loss = hidden != NULL ? lose(env, pass, model, hidden, targets) : NULL;
  gpt_tensor_release(hidden);
  gpt_tensor_release(ids);
  gpt_tensor_release(targets);
  return loss;
}

/* Head and scores together. */
static GptTensor *score_states(GptEnv *env, const GptModel *model, GptLayer *head, GptTensor *hidden,
                               GptTensor *targets) {
  return gpt_head_scores(env, hidden, gpt_layer_parameter(head, "weight"), gpt_layer_parameter(head, "bias"), targets,
                         model->config.logit_softcap);
}

GptTensor *gpt_model_scores(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids, GptTensor *targets) {
  GptLayer *head = gpt_layer_child(&model->layer, "head");
  bool together = head != NULL && head->kind == &gpt_linear_kind &&
                  gpt_layer_cacheable(gpt_layer_child(&model->layer, "final_norm"));
  GptTensor *rows = together ? gpt_model_hidden(env, pass, model, ids)
                             : gpt_layer_forward(env, pass, &model->layer, ids);
  if (rows == NULL) return NULL;
  return gpt_tensor_then(rows, together ? score_states(env, model, head, rows, targets)
                                        : gpt_logit_scores(env, rows, targets));
}
