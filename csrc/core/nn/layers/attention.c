/* Multi-head attention as a layer: projections around attention in the pass. */
#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/nn/pass_attention.h"
#include "core/ops/linear.h"
#include "core/ops/shape.h"

typedef struct Attention {
  GptLayer layer;
  GptAttentionOptions options;
} Attention;

static const char *const projections[3] = {"query", "key", "value"};

static bool all_linear(const GptLayer *layer) {
  for (int i = 0; i < 3; i++) {
    const GptLayer *child = gpt_layer_child(layer, projections[i]);
    if (child == NULL || child->kind != &gpt_linear_kind) return false;
  }
  return true;
}

/* Plain projections run side by side in one product, [batch, tokens, 3 * dim]. */
static GptTensor *project_together(GptEnv *env, GptLayer *layer, GptTensor *x) {
  GptTensor *weights[3], *biases[3];
  for (int i = 0; i < 3; i++) {
    GptLayer *child = gpt_layer_child(layer, projections[i]);
    weights[i] = gpt_layer_parameter(child, "weight");
    biases[i] = gpt_layer_parameter(child, "bias");
  }
  return gpt_linear(env, x, 3, weights, biases);
}

/* Others, whatever they are, run one by one. */
static GptTensor *project_apart(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *parts[3] = {NULL, NULL, NULL}, *joined = NULL;
  bool done = true;
  for (int i = 0; i < 3 && done; i++) {
    parts[i] = gpt_layer_run(env, pass, layer, projections[i], x);
    done = parts[i] != NULL;
  }
  if (done) joined = gpt_cat(env, 3, parts, x->ndim - 1);
  for (int i = 0; i < 3; i++) gpt_tensor_release(parts[i]);
  return joined;
}

static bool check_input(GptEnv *env, const Attention *attention, const GptPass *pass, const GptTensor *x) {
  char text[GPT_SHAPE_TEXT];
  long long dim = (long long)attention->options.emb_dim, most = (long long)attention->options.context_length;
  if (x->ndim != 3 || x->shape[2] != dim)
    return gpt_fail(env, "attention: an input of shape [batch, tokens, %lld] expected, got %s", dim,
                    gpt_tensor_shape_text(x, text));
  if (!gpt_pass_check_rows(env, pass, "attention", x)) return false;
  for (int64_t s = 0; s < pass->n_segments; s++) {
    long long tokens = (long long)(pass->segments[s].first + pass->segments[s].count);
    if (tokens > most)
      return gpt_fail(env, "attention: %lld tokens are more than its context_length, %lld", tokens, most);
  }
  if (pass->segments == NULL && x->shape[1] > most)
    return gpt_fail(env, "attention: %lld tokens are more than its context_length, %lld", (long long)x->shape[1], most);
  return true;
}

static GptTensor *attend(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *qkv) {
  bool drops = pass->training && attention->layer.training && attention->options.drop_rate > 0;
  GptAttentionRule rule = {.causal = true};
  if (drops) rule.drop_rate = attention->options.drop_rate, rule.seed = gpt_random_bits64(pass->random);
  int64_t heads = attention->options.n_heads;
  return gpt_pass_attend_packed(env, pass, &attention->layer, qkv, heads, heads, &rule);
}

/* Tells whoever watches the pass of what query, key and value made where they ran side by side. */
static bool tell_observer(GptEnv *env, GptObserver *observer, const Attention *attention, GptTensor *qkv) {
  int64_t dim = attention->options.emb_dim;
  bool done = true;
  for (int i = 0; i < 3 && done && all_linear(&attention->layer); i++) {
    GptTensor *part = gpt_narrow(env, qkv, 2, i * dim, dim);
    done = part != NULL && observer->did_part(observer, env, projections[i], part);
    gpt_tensor_release(part);
  }
  return done;
}

static GptTensor *attention_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x);

/* [tokens, emb_dim] is a batch of one, and is returned without it. */
static GptTensor *run_alone(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  GptTensor *batch = gpt_unsqueeze(env, x, 0);
  GptTensor *y = batch != NULL ? attention_forward(env, pass, layer, batch) : NULL;
  y = gpt_tensor_then(batch, y);
  return gpt_tensor_then(y, gpt_select(env, y, 0, 0));
}

static GptTensor *attention_forward(GptEnv *env, GptPass *pass, GptLayer *layer, GptTensor *x) {
  Attention *attention = (Attention *)layer;
  if (x->ndim == 2) return run_alone(env, pass, layer, x);
  if (!check_input(env, attention, pass, x)) return NULL;
  GptTensor *qkv = all_linear(layer) ? project_together(env, layer, x) : project_apart(env, pass, layer, x);
  bool told = qkv != NULL && (pass->observer == NULL || tell_observer(env, pass->observer, attention, qkv));
  GptTensor *mixed = told ? attend(env, pass, attention, qkv) : NULL;
  gpt_tensor_release(qkv);
  return gpt_tensor_then(mixed, gpt_layer_run(env, pass, layer, "output", mixed));
}

static void attention_describe(const GptLayer *layer, GptText *text) {
  const GptAttentionOptions *o = &((const Attention *)layer)->options;
  gpt_text_add(text, "emb_dim = %lld, n_heads = %lld, context_length = %lld, drop_rate = %g, qkv_bias = %s",
               (long long)o->emb_dim, (long long)o->n_heads, (long long)o->context_length, o->drop_rate,
               o->qkv_bias ? "true" : "false");
}

const GptLayerKind gpt_attention_kind = {
    .name = "MultiHeadAttention", .container = true, .forward = attention_forward, .describe = attention_describe};

static bool add_projections(GptEnv *env, GptLayer *layer, const GptAttentionOptions *o, GptInit init) {
  GptLayer *three[3];
  bool done = gpt_linear_new_three(env, o->emb_dim, o->emb_dim, o->qkv_bias, init, three);
  for (int i = 0; i < 3; i++) done = gpt_layer_adopt_child(env, layer, projections[i], three[i]) && done;
  return done;
}

GptLayer *gpt_attention_new(GptEnv *env, GptAttentionOptions options, GptInit init, GptInit residual) {
  if (options.n_heads < 1 || options.emb_dim % options.n_heads != 0)
    return gpt_fail_null(env, "MultiHeadAttention: emb_dim (%lld) must be divisible by n_heads (%lld)",
                         (long long)options.emb_dim, (long long)options.n_heads);
  Attention *attention = gpt_layer_new(env, &gpt_attention_kind, sizeof *attention);
  if (attention == NULL) return NULL;
  attention->options = options;
  if (add_projections(env, &attention->layer, &options, init) &&
      gpt_layer_adopt_child(env, &attention->layer, "output",
                            gpt_linear_new(env, options.emb_dim, options.emb_dim, true, residual)))
    return &attention->layer;
  gpt_layer_release(&attention->layer);
  return NULL;
}
