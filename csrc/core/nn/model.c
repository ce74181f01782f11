#include "core/nn/model.h"

#include <stdio.h>
#include <string.h>

#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/nn/recompute.h"
#include "core/base/memory.h"
#include "core/ops/binary.h"
#include "core/ops/unary.h"

/* Parameters of a plain model of that config, the tied head once; exact up to 2^53, and at most 2^60, which no memory
 * holds: sizes may be anything. */
static int64_t config_parameters(const GptConfig *c) {
  double dim = (double)c->emb_dim, hidden = (double)c->hidden_dim, vocab = (double)c->vocab_size;
  double head_dim = c->head_dim != 0 ? (double)c->head_dim : dim / (double)c->n_heads;
  double width = (double)c->n_heads * head_dim, kv = c->n_kv_heads != 0 ? (double)c->n_kv_heads * head_dim : width;
  double qkv = (width + 2 * kv) * (dim + (c->qkv_bias ? 1 : 0)), output = dim * (width + (c->no_bias ? 0 : 1));
  double expanding = c->gated ? 2 : 1, norm = c->norm == GPT_NORM_RMS ? dim : 2 * dim;
  double feed_forward = (expanding + 1) * dim * hidden + (c->no_bias ? 0 : expanding * hidden + dim);
  double norms = (c->post_norms ? 4 : 2) * norm + (c->qk_norm ? 2 * head_dim : 0);
  double positions = c->positions == GPT_POSITIONS_LEARNED ? (double)c->context_length : 0;
  double embeddings = (vocab + positions) * dim, head = c->tie_weights ? 0 : vocab * dim;
  double all = embeddings + (double)c->n_layers * (qkv + output + feed_forward + norms) + norm + head;
  return all < 0x1p60 ? (int64_t)all : (int64_t)1 << 60;
}

bool gpt_layer_is_model(const GptLayer *layer) { return layer->kind == &gpt_model_kind; }

/* x times the config's scale, if it has one; consumes x */
static GptTensor *scale_embedding(GptEnv *env, const GptModel *model, GptTensor *x) {
  double scale = model->config.embedding_scale;
  if (x == NULL || scale == 0) return x;
  GptTensor *number = gpt_tensor_number(env, scale);
  return gpt_tensor_then(x, gpt_tensor_then(number, gpt_mul(env, x, number)));
}

/* x + position_embedding(positions); consumes x */
static GptTensor *add_positions(GptEnv *env, GptPass *pass, GptLayer *layer, const GptTensor *ids, GptTensor *x) {
  if (x == NULL || gpt_layer_child(layer, "position_embedding") == NULL) return x;
  GptTensor *positions = gpt_pass_positions(env, pass, ids->shape[1], 0);
  GptTensor *embedded = gpt_tensor_then(positions, gpt_layer_run(env, pass, layer, "position_embedding", positions));
  GptTensor *sum = gpt_tensor_then(embedded, gpt_add(env, x, embedded));
  return gpt_tensor_then(x, sum);
}

/* The rows of x [batch, tokens, dim] whose logits are wanted. */
static GptTensor *wanted_rows(GptEnv *env, GptPass *pass, GptTensor *x) {
  char text[GPT_SHAPE_TEXT];
  if (x->ndim != 3 || x->storage->dtype != GPT_F32 || gpt_tensor_numel(x) == 0)
    return gpt_fail_null(env, "Model: f32 of shape [batch, tokens, dim] expected from its parts, got %s of shape %s",
                         gpt_dtype_name(x->storage->dtype), gpt_tensor_shape_text(x, text));
  if (!gpt_pass_check_rows(env, pass, "Model", x)) return NULL;
  pass->cut = x->shape[1];
  return gpt_pass_wanted(env, pass, x);
}

static GptTensor *run_blocks(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptLayer *blocks = gpt_layer_retain(gpt_layer_child(layer, "blocks"));
  bool list = blocks->kind == &gpt_list_kind; /* otherwise it was exchanged for a layer that runs by itself */
  GptTensor *(*run)(GptEnv *, GptPass *, const GptChild *, GptTensor *) =
      ((GptModel *)layer)->recompute ? gpt_recompute : gpt_child_run;
  for (int i = 0; i < (list ? blocks->n_children : 1) && x != NULL; i++) {
    GptTensor *y = list ? run(env, pass, &blocks->children[i], x) : gpt_layer_run(env, pass, layer, "blocks", x);
    if (y == NULL && list) gpt_fail_inside(env, "blocks");
    gpt_tensor_release(x);
    x = y;
  }
  gpt_layer_release(blocks);
  return x;
}

/* May the rows that nobody asked for be dropped before the final norm? */
static bool end_is_positionwise(const GptLayer *layer) {
  return gpt_layer_cacheable(gpt_layer_child(layer, "final_norm")) &&
         gpt_layer_cacheable(gpt_layer_child(layer, "head"));
}

GptTensor *gpt_model_cap(GptEnv *env, const GptModel *model, GptTensor *logits) {
  double cap = model->config.logit_softcap;
  return logits == NULL || cap == 0 ? logits : gpt_tensor_then(logits, gpt_softcap(env, logits, cap));
}

/* Final norm and head; consumes x [batch, tokens, dim] */
static GptTensor *finish(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  static const char *const steps[] = {"final_norm", "head"};
  bool few = gpt_pass_wants_few(pass), early = few && end_is_positionwise(layer);
  for (int step = early ? -1 : 0; step < 2 + (few && !early) && x != NULL; step++) {
    bool cut = step == -1 || step == 2;
    GptTensor *y = cut ? wanted_rows(env, pass, x) : gpt_layer_run(env, pass, layer, steps[step], x);
    gpt_tensor_release(x);
    x = y;
  }
  return gpt_model_cap(env, (GptModel *)layer, x);
}

static bool check_model_ids(GptEnv *env, const GptModel *model, const GptPass *pass, const GptTensor *ids) {
  char text[GPT_SHAPE_TEXT];
  long long most = (long long)model->config.context_length;
  if (ids->ndim != 2 || ids->storage->dtype != GPT_I64)
    return gpt_fail(env, "Model: token ids (i64) of shape [batch, tokens] expected, got %s of %s",
                    gpt_dtype_name(ids->storage->dtype), gpt_tensor_shape_text(ids, text));
  if (gpt_tensor_numel(ids) == 0)
    return gpt_fail(env, "Model: at least one token expected, got ids of shape %s", gpt_tensor_shape_text(ids, text));
  if (!gpt_pass_check_rows(env, pass, "Model", ids)) return false;
  if (pass->segments == NULL && ids->shape[1] > most)
    return gpt_fail(env, "Model: %lld tokens are more than context_length, %lld", (long long)ids->shape[1], most);
  return true;
}

/* What the final norm is fed. */
static GptTensor *run_body(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *ids) {
  const GptModel *model = (GptModel *)layer;
  if (!check_model_ids(env, model, pass, ids)) return NULL;
  GptTensor *x = gpt_layer_run(env, pass, layer, "token_embedding", ids);
  x = scale_embedding(env, model, x);
  x = add_positions(env, pass, layer, ids, x);
  x = gpt_layer_drop(env, pass, layer, model->config.emb_drop_rate, x);
  return run_blocks(env, pass, layer, x);
}

static GptTensor *model_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *ids) {
  int64_t cut = pass->cut;
  GptTensor *logits = finish(env, pass, layer, run_body(env, pass, layer, ids));
  pass->cut = cut; /* what runs behind it in this pass may have all rows */
  return logits;
}

GptTensor *gpt_model_hidden(GptEnv *env, GptPass *pass, GptModel *model, GptTensor *ids) {
  GptTensor *x = run_body(env, pass, &model->layer, ids);
  int64_t cut = pass->cut;
  if (x != NULL && gpt_pass_wants_few(pass)) x = gpt_tensor_then(x, wanted_rows(env, pass, x));
  x = gpt_tensor_then(x, gpt_layer_run(env, pass, &model->layer, "final_norm", x));
  pass->cut = cut;
  return x;
}

static void model_describe(const GptLayer *layer, GptText *text) {
  const GptConfig *c = &((const GptModel *)layer)->config;
  gpt_text_add(text, "vocab_size = %lld, context_length = %lld, emb_dim = %lld, n_heads = %lld, n_layers = %lld",
               (long long)c->vocab_size, (long long)c->context_length, (long long)c->emb_dim, (long long)c->n_heads,
               (long long)c->n_layers);
  if (c->embedding_scale != 0) gpt_text_add(text, ", embedding_scale = %g", c->embedding_scale);
  if (c->logit_softcap != 0) gpt_text_add(text, ", logit_softcap = %g", c->logit_softcap);
}

const GptLayerKind gpt_model_kind = {
    .name = "Model", .container = true, .forward = model_forward, .describe = model_describe};

/* Building: the caller's parts and the model's own, in construction order. */
typedef struct Builder {
  GptEnv *env;
  const GptConfig *config;
  GptPartMaker maker;
  void *context;
  GptLayer *model;
} Builder;

static GptLayer *own_part(const Builder *b, const char *part, int64_t index) {
  const GptConfig *c = b->config;
  GptInit init = {c->init, 0.02};
  if (strcmp(part, "token_embedding") == 0) return gpt_embedding_new(b->env, c->vocab_size, c->emb_dim, init);
  if (strcmp(part, "position_embedding") == 0) return gpt_embedding_new(b->env, c->context_length, c->emb_dim, init);
  if (strcmp(part, "block") == 0) return gpt_block_new(b->env, c, index);
  if (strcmp(part, "final_norm") == 0) return gpt_norm_new(b->env, c, init);
  GptLayer *tokens = gpt_layer_child(b->model, "token_embedding");
  GptTensor *tied = c->tie_weights ? gpt_layer_parameter(tokens, "weight") : NULL;
  if (c->tie_weights && tied == NULL)
    return gpt_fail_null(b->env,
                         "tie_weights: the given token_embedding has no parameter 'weight' to share with the head");
  return tied != NULL ? gpt_linear_over(b->env, tied, NULL)
                      : gpt_linear_new(b->env, c->emb_dim, c->vocab_size, false, init);
}

/* Adds one part under that name to a parent. */
static bool add_part(const Builder *b, GptLayer *parent, const char *name, const char *part, int64_t index) {
  GptLayer *layer = NULL;
  bool absent = false;
  if (b->maker != NULL && !b->maker(b->env, b->context, part, index, &layer, &absent)) return false;
  bool none = strcmp(part, "position_embedding") == 0 && b->config->positions != GPT_POSITIONS_LEARNED;
  if (absent || (layer == NULL && none)) return true;
  return gpt_layer_adopt_child(b->env, parent, name, layer != NULL ? layer : own_part(b, part, index));
}

static bool build_blocks(const Builder *b) {
  char name[24];
  GptLayer *blocks = gpt_list_new(b->env);
  if (!gpt_layer_adopt_child(b->env, b->model, "blocks", blocks)) return false;
  for (int64_t i = 0; i < b->config->n_layers; i++) {
    snprintf(name, sizeof name, "%lld", (long long)i + 1);
    if (!add_part(b, blocks, name, "block", i)) return false;
  }
  return true;
}

static bool weights_fit(GptEnv *env, const GptConfig *config, GptPartMaker maker) {
  char text[32];
  size_t bytes = (size_t)config_parameters(config) * sizeof(float);
  if (maker != NULL || config->init == GPT_INIT_ABSENT || gpt_memory_fits(env, bytes)) return true;
  char why[GPT_ERROR_SIZE];
  gpt_take_error(env, why);
  return gpt_fail(env, "Model: %lld parameters in float32 need %s: %.1500s", (long long)config_parameters(config),
                  gpt_format_bytes(bytes, text), why);
}

GptModel *gpt_model_new(GptEnv *env, const GptConfig *config, GptPartMaker maker, void *context) {
  if (!weights_fit(env, config, maker)) return NULL;
  GptModel *model = gpt_layer_new(env, &gpt_model_kind, sizeof *model);
  if (model == NULL) return NULL;
  model->config = *config;
  Builder b = {env, config, maker, context, &model->layer};
  if (add_part(&b, b.model, "token_embedding", "token_embedding", 0) &&
      add_part(&b, b.model, "position_embedding", "position_embedding", 0) && build_blocks(&b) &&
      add_part(&b, b.model, "final_norm", "final_norm", 0) && add_part(&b, b.model, "head", "head", 0)) {
    model->config.rope_scaling = NULL;
    model->config.windowed = NULL;
    return model;
  }
  gpt_layer_release(&model->layer);
  return NULL;
}
