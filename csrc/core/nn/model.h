/* The GPT: token and position embeddings, blocks, final norm, output head (Radford et al. 2019), with whatever else its
 * config says: the one model of all families. */
#ifndef GPT_MODEL_H
#define GPT_MODEL_H

#include "core/nn/layers/layers.h"

typedef struct GptModel {
  GptLayer layer; /* children: token_embedding, position_embedding (may be missing), blocks, final_norm, head */
  GptConfig config;
  uint64_t checked; /* 1 more than the stamp under which position_check.h found nothing; 0: never */
  bool recompute; /* of each block only the input is kept for the backward pass (recompute.h) */
} GptModel;

/*
 * Where the caller has a part of its own. Called in construction order, with index counting blocks from 0 (and 0 for
 * the rest). Leaves in *layer a new reference to the caller's part, or NULL for the model's own; *absent leaves a
 * position_embedding out. False is a failure.
 */
typedef bool (*GptPartMaker)(GptEnv *env, void *context, const char *part, int64_t index, GptLayer **layer,
                             bool *absent);

/* A model of that config; maker may be NULL. Fails before allocating anything large if the weights do not fit into
 * memory. */
GptModel *gpt_model_new(GptEnv *env, const GptConfig *config, GptPartMaker maker, void *context);

/* The states [batch, tokens, emb_dim] that the head is fed. A pass that wants few rows gets those alone, for which the
   final norm has to be positionwise. */
GptTensor *gpt_model_hidden(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids);

/* The mean cross-entropy of the logits for ids against targets (i64, of the same shape [batch, tokens]; masked ones
   are left out), without ever holding all the logits where the head is a plain Linear. */
GptTensor *gpt_model_loss(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids, GptTensor *targets);

/* How likely targets are, as gpt_logit_scores tells: those of the rows that the pass wants, in their order (i64,
   [batch, wanted], or [1, rows] with segments), at least one of which counts. */
GptTensor *gpt_model_scores(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids, GptTensor *targets);

/* Logits as the model returns them, by the config's soft cap; consumes them. NULL for NULL. */
GptTensor *gpt_model_cap(GptEnv *env, const GptModel *model, GptTensor *logits);

/* Is the layer a Model? */
bool gpt_layer_is_model(const GptLayer *layer);

#endif
