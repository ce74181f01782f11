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

/* How many heads projection i has. */
static int64_t heads_of(const Attention *attention, int i) {
  return i == 0 ? attention->options.n_heads : attention->options.n_kv_heads;
}

/* Are the projections Linear layers of their sizes? */
static bool all_linear(const Attention *attention) {
  for (int i = 0; i < 3; i++) {
    const GptLayer *child = gpt_layer_child(&attention->layer, projections[i]);
    if (child == NULL || child->kind != &gpt_linear_kind) return false;
    if (gpt_layer_parameter(child, "weight")->shape[0] != heads_of(attention, i) * attention->options.head_dim) return false;
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

static GptAttentionRule rule_for(const GptPass *pass, const Attention *attention) {
  const GptAttentionOptions *o = &attention->options;
  bool drops = pass->training && attention->layer.training && o->drop_rate > 0;
  GptAttentionRule rule = {.causal = true, .window = o->window, .scale = o->scale, .softcap = o->softcap};
  if (drops) rule.drop_rate = o->drop_rate, rule.seed = gpt_random_bits64(pass->random);
  return rule;
}

/* Tells whoever watches the pass of what query, key and value made where they ran side by side. */
static bool tell_observer(GptEnv *env, GptObserver *observer, const Attention *attention, GptTensor *qkv) {
  bool done = true;
  int64_t first = 0;
  for (int i = 0; i < 3 && done; i++) {
    int64_t width = heads_of(attention, i) * attention->options.head_dim;
    GptTensor *part = gpt_narrow(env, qkv, 2, first, width);
    done = part != NULL && observer->did_part(observer, env, projections[i], part);
    gpt_tensor_release(part);
    first += width;
  }
  return done;
}

/* Over plain projections: [batch, tokens, n_heads * head_dim]. */
static GptTensor *attend_together(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *x) {
  GptTensor *qkv = project_together(env, &attention->layer, x), *y = NULL;
  if (qkv == NULL) return NULL;
  GptAttentionRule rule = rule_for(pass, attention);
  if (pass->observer == NULL || tell_observer(env, pass->observer, attention, qkv))
    y = gpt_pass_attend_packed(env, pass, &attention->layer, qkv, heads_of(attention, 0), heads_of(attention, 1), &rule);
  return gpt_tensor_then(qkv, y);
}

/* What a part makes of x, as heads [batch, tokens, heads, head_dim]. */
static GptTensor *project(GptEnv *env, GptPass *pass, Attention *attention, int i, GptTensor *x) {
  char text[GPT_SHAPE_TEXT];
  int64_t heads = heads_of(attention, i), head_dim = attention->options.head_dim;
  GptTensor *made = gpt_layer_run(env, pass, &attention->layer, projections[i], x);
  GptTensor *y = made != NULL ? gpt_tensor_then(made, gpt_tensor_as_floats(env, "attention", made)) : NULL;
  if (y == NULL) return NULL;
  if (y->ndim == 3 && y->shape[2] == heads * head_dim)
    return gpt_tensor_then(y, gpt_reshape(env, y, 4, (int64_t[]){y->shape[0], y->shape[1], heads, head_dim}));
  gpt_fail(env, "attention: its part '%s' must return [batch, tokens, %lld], got %s", projections[i],
           (long long)(heads * head_dim), gpt_tensor_shape_text(y, text));
  return gpt_tensor_if(false, y);
}

/* Over others, whatever they are, which run one by one. */
static GptTensor *attend_apart(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *x) {
  GptTensor *parts[3] = {NULL, NULL, NULL}, *y = NULL;
  bool done = true;
  for (int i = 0; i < 3 && done; i++) done = (parts[i] = project(env, pass, attention, i, x)) != NULL;
  if (done) {
    GptAttentionRule rule = rule_for(pass, attention);
    y = gpt_pass_attend(env, pass, &attention->layer, parts[0], parts[1], parts[2], &rule);
  }
  for (int i = 0; i < 3; i++) gpt_tensor_release(parts[i]);
  if (y == NULL) return NULL;
  return gpt_tensor_then(y, gpt_reshape(env, y, 3, (int64_t[]){y->shape[0], y->shape[1], y->shape[2] * y->shape[3]}));
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
  GptTensor *mixed = all_linear(attention) ? attend_together(env, pass, attention, x) : attend_apart(env, pass, attention, x);
  return gpt_tensor_then(mixed, gpt_layer_run(env, pass, layer, "output", mixed));
}

static void attention_describe(const GptLayer *layer, GptText *text) {
  const GptAttentionOptions *o = &((const Attention *)layer)->options;
  gpt_text_add(text, "emb_dim = %lld, n_heads = %lld, context_length = %lld, drop_rate = %g, qkv_bias = %s",
               (long long)o->emb_dim, (long long)o->n_heads, (long long)o->context_length, o->drop_rate,
               o->qkv_bias ? "true" : "false");
  if (o->n_kv_heads != o->n_heads) gpt_text_add(text, ", n_kv_heads = %lld", (long long)o->n_kv_heads);
  if (o->head_dim * o->n_heads != o->emb_dim) gpt_text_add(text, ", head_dim = %lld", (long long)o->head_dim);
  if (o->window != 0) gpt_text_add(text, ", sliding_window = %lld", (long long)o->window);
  if (o->scale != 0) gpt_text_add(text, ", scale = %g", o->scale);
  if (o->softcap != 0) gpt_text_add(text, ", softcap = %g", o->softcap);
  if (o->no_bias) gpt_text_add(text, ", bias = false");
}

const GptLayerKind gpt_attention_kind = {
    .name = "MultiHeadAttention", .container = true, .forward = attention_forward, .describe = attention_describe};

static bool add_projections(GptEnv *env, GptLayer *layer, const GptAttentionOptions *o, GptInit init) {
  GptLayer *three[3];
  int64_t outs[3] = {o->n_heads * o->head_dim, o->n_kv_heads * o->head_dim, o->n_kv_heads * o->head_dim};
  bool done = gpt_linear_new_three(env, o->emb_dim, outs, o->qkv_bias, init, three);
  for (int i = 0; i < 3; i++) done = gpt_layer_adopt_child(env, layer, projections[i], three[i]) && done;
  return done;
}

/* Fills in what was left to the rest; false where they do not fit. */
static bool complete_options(GptEnv *env, GptAttentionOptions *o) {
  if (o->head_dim == 0 && (o->n_heads < 1 || o->emb_dim % o->n_heads != 0))
    return gpt_fail(env, "MultiHeadAttention: emb_dim (%lld) must be divisible by n_heads (%lld)", (long long)o->emb_dim,
                    (long long)o->n_heads);
  if (o->head_dim == 0) o->head_dim = o->emb_dim / o->n_heads;
  if (o->n_kv_heads == 0) o->n_kv_heads = o->n_heads;
  if (o->head_dim > INT64_MAX / o->n_heads)
    return gpt_fail(env, "MultiHeadAttention: %lld heads of %lld numbers are too large", (long long)o->n_heads,
                    (long long)o->head_dim);
  return o->n_heads % o->n_kv_heads == 0 ||
         gpt_fail(env, "MultiHeadAttention: n_heads (%lld) must be divisible by n_kv_heads (%lld)", (long long)o->n_heads,
                  (long long)o->n_kv_heads);
}

GptLayer *gpt_attention_new(GptEnv *env, GptAttentionOptions options, GptInit init, GptInit residual) {
  if (!complete_options(env, &options)) return NULL;
  Attention *attention = gpt_layer_new(env, &gpt_attention_kind, sizeof *attention);
  if (attention == NULL) return NULL;
  attention->options = options;
  int64_t width = options.n_heads * options.head_dim;
  if (add_projections(env, &attention->layer, &options, init) &&
      gpt_layer_adopt_child(env, &attention->layer, "output",
                            gpt_linear_new(env, width, options.emb_dim, !options.no_bias, residual)))
    return &attention->layer;
  gpt_layer_release(&attention->layer);
  return NULL;
}
