/* Multi-head attention as a layer: projections around attention in the pass. */
#include <stddef.h>

#include "core/nn/layers/kinds.h"
#include "core/nn/layers/weights.h"
#include "core/nn/pass_attention.h"
#include "core/ops/linear.h"
#include "core/ops/rotary.h"
#include "core/ops/shape.h"

typedef struct Attention {
  GptLayer layer;
  GptAttentionOptions options;
  /* Where options.rope_base is 0 there is no memory for what follows. */
  GptRotary rotary;
  GptRotaryScaling scaling;
} Attention;

static const char *const projections[3] = {"query", "key", "value"};
static const char *const head_norms[2] = {"query_norm", "key_norm"};

/* How many heads projection i has. */
static int64_t heads_of(const Attention *attention, int i) {
  return i == 0 ? attention->options.n_heads : attention->options.n_kv_heads;
}

/* May the projections run as one product? They may if they are Linear layers of their sizes, and if nobody has to see
 * each of them run. */
static bool may_run_together(const GptPass *pass, const Attention *attention) {
  if (pass->observer != NULL && pass->observer->did_part == NULL) return false;
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

/* The heads of queries and keys turned by their positions in the pass, those of values as they are; consumes x
 * [batch, tokens, all heads, head_dim]. */
static GptTensor *turn_heads(GptEnv *env, const GptPass *pass, const Attention *attention, GptTensor *x, int64_t heads) {
  GptTensor *positions = x != NULL ? gpt_pass_positions(env, pass, x->shape[1], 0) : NULL;
  GptTensor *y = positions != NULL ? gpt_rotate(env, x, positions, &attention->rotary, heads) : NULL;
  gpt_tensor_release(positions);
  return gpt_tensor_then(x, y);
}

/* The same for qkv [batch, tokens, width], side by side; consumes it. */
static GptTensor *turn_packed(GptEnv *env, const GptPass *pass, const Attention *attention, GptTensor *qkv) {
  int64_t b = qkv->shape[0], t = qkv->shape[1], width = qkv->shape[2], head_dim = attention->options.head_dim;
  GptTensor *heads = gpt_reshape(env, qkv, 4, (int64_t[]){b, t, width / head_dim, head_dim});
  GptTensor *y = turn_heads(env, pass, attention, heads, heads_of(attention, 0) + heads_of(attention, 1));
  y = gpt_tensor_then(y, gpt_reshape(env, y, 3, (int64_t[]){b, t, width}));
  return gpt_tensor_then(qkv, y);
}

/* Queries (i = 0) or keys (1) [batch, tokens, heads, head_dim], normalised and turned where that is asked for; consumes
 * x. */
static GptTensor *prepare_heads(GptEnv *env, GptPass *pass, Attention *attention, int i, GptTensor *x) {
  if (attention->options.qk_norm && x != NULL)
    x = gpt_tensor_then(x, gpt_layer_run(env, pass, &attention->layer, head_norms[i], x));
  return attention->options.rope_base != 0 ? turn_heads(env, pass, attention, x, INT64_MAX) : x;
}

/* Attends over parts [batch, tokens, heads, head_dim], which it consumes, all of them or none; [batch, tokens, n_heads *
 * head_dim]. */
static GptTensor *attend_parts(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *parts[3]) {
  GptTensor *y = NULL;
  for (int i = 0; i < 2; i++) parts[i] = prepare_heads(env, pass, attention, i, parts[i]);
  if (parts[0] != NULL && parts[1] != NULL && parts[2] != NULL) {
    GptAttentionRule rule = rule_for(pass, attention);
    y = gpt_pass_attend(env, pass, &attention->layer, parts[0], parts[1], parts[2], &rule);
  }
  for (int i = 0; i < 3; i++) gpt_tensor_release(parts[i]);
  if (y == NULL) return NULL;
  return gpt_tensor_then(y, gpt_reshape(env, y, 3, (int64_t[]){y->shape[0], y->shape[1], y->shape[2] * y->shape[3]}));
}

/* qkv [batch, tokens, width], which it consumes, as parts. */
static GptTensor *attend_split(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *qkv) {
  GptTensor *parts[3];
  for (int64_t i = 0, first = 0, width; i < 3; i++, first += width) {
    int64_t heads = heads_of(attention, (int)i), head_dim = attention->options.head_dim;
    width = heads * head_dim;
    GptTensor *part = gpt_narrow(env, qkv, 2, first, width);
    parts[i] = part != NULL
                   ? gpt_tensor_then(part, gpt_reshape(env, part, 4, (int64_t[]){part->shape[0], part->shape[1], heads,
                                                                                head_dim}))
                   : NULL;
  }
  return gpt_tensor_then(qkv, attend_parts(env, pass, attention, parts));
}

/* Over plain projections: [batch, tokens, n_heads * head_dim]. */
static GptTensor *attend_together(GptEnv *env, GptPass *pass, Attention *attention, GptTensor *x) {
  const GptAttentionOptions *o = &attention->options;
  GptTensor *qkv = project_together(env, &attention->layer, x);
  if (qkv == NULL) return NULL;
  if (pass->observer != NULL && !tell_observer(env, pass->observer, attention, qkv)) return gpt_tensor_if(false, qkv);
  if (o->qk_norm) return attend_split(env, pass, attention, qkv);
  if (o->rope_base != 0) qkv = turn_packed(env, pass, attention, qkv);
  if (qkv == NULL) return NULL;
  GptAttentionRule rule = rule_for(pass, attention);
  return gpt_tensor_then(qkv, gpt_pass_attend_packed(env, pass, &attention->layer, qkv, o->n_heads, o->n_kv_heads, &rule));
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
  GptTensor *parts[3] = {NULL, NULL, NULL};
  for (int i = 0; i < 3; i++) {
    parts[i] = project(env, pass, attention, i, x);
    if (parts[i] != NULL) continue;
    while (i-- > 0) gpt_tensor_release(parts[i]);
    return NULL;
  }
  return attend_parts(env, pass, attention, parts);
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
  GptTensor *mixed = may_run_together(pass, attention) ? attend_together(env, pass, attention, x)
                                                   : attend_apart(env, pass, attention, x);
  return gpt_tensor_then(mixed, gpt_layer_run(env, pass, layer, "output", mixed));
}

static void describe_scaling(const GptRotaryScaling *s, GptText *text) {
  static const char *const names[] = {[GPT_ROTARY_LINEAR] = "linear", [GPT_ROTARY_LLAMA3] = "llama3",
                                      [GPT_ROTARY_YARN] = "yarn"};
  if (s->kind == GPT_ROTARY_FACTORS) {
    gpt_text_add(text, ", rope_scaling = { frequency_factors = { %g, ... } }", s->factors[0]);
    return;
  }
  gpt_text_add(text, ", rope_scaling = { rope_type = \"%s\", factor = %g", names[s->kind], s->factor);
  if (s->kind != GPT_ROTARY_LINEAR) gpt_text_add(text, ", original_max_position_embeddings = %g", s->original);
  if (s->kind == GPT_ROTARY_LLAMA3) gpt_text_add(text, ", low_freq_factor = %g, high_freq_factor = %g", s->low, s->high);
  gpt_text_add(text, " }");
}

static void describe_head_norms(const GptAttentionOptions *o, GptText *text) {
  if (o->qk_norm_eps == 1e-6 && o->qk_norm_offset == 0) gpt_text_add(text, ", qk_norm = true");
  else gpt_text_add(text, ", qk_norm = { eps = %g, offset = %g }", o->qk_norm_eps, o->qk_norm_offset);
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
  if (o->rope_base != 0) gpt_text_add(text, ", rope_base = %g", o->rope_base);
  if (o->rope_base != 0 && o->rope_dims != o->head_dim) gpt_text_add(text, ", rope_dims = %lld", (long long)o->rope_dims);
  if (o->rope_interleaved) gpt_text_add(text, ", rope_interleaved = true");
  if (o->rope_base != 0 && o->rope_scaling->kind != GPT_ROTARY_PLAIN) describe_scaling(o->rope_scaling, text);
  if (o->qk_norm) describe_head_norms(o, text);
}

const GptLayerKind gpt_attention_kind = {
    .name = "MultiHeadAttention", .container = true, .forward = attention_forward, .describe = attention_describe};

static bool add_projections(GptEnv *env, GptLayer *layer, const GptAttentionOptions *o, GptInit init) {
  GptLayer *three[3];
  int64_t outs[3] = {o->n_heads * o->head_dim, o->n_kv_heads * o->head_dim, o->n_kv_heads * o->head_dim};
  bool done = gpt_linear_new_beside(env, o->emb_dim, 3, outs, o->qkv_bias, init, three);
  for (int i = 0; i < 3; i++) done = gpt_layer_adopt_child(env, layer, projections[i], three[i]) && done;
  return done;
}

static bool add_head_norms(GptEnv *env, GptLayer *layer, const GptAttentionOptions *o, GptInit init) {
  for (int i = 0; o->qk_norm && i < 2; i++)
    if (!gpt_layer_adopt_child(env, layer, head_norms[i],
                               gpt_rms_norm_new(env, o->head_dim, o->qk_norm_eps, o->qk_norm_offset, init)))
      return false;
  return true;
}

static bool complete_rotary(GptEnv *env, GptAttentionOptions *o) {
  if (o->rope_base == 0) return true;
  bool given = o->rope_dims != 0;
  if (!given) o->rope_dims = o->head_dim;
  if (o->rope_dims % 2 != 0)
    return gpt_fail(env, "MultiHeadAttention: rotary embedding turns pairs of numbers: %s must be even, got %lld",
                    given ? "rope_dims" : "head_dim", (long long)o->rope_dims);
  if (o->rope_dims > o->head_dim || o->rope_dims > 2 * GPT_ROTARY_MOST)
    return gpt_fail(env, "MultiHeadAttention: rope_dims must be at most head_dim (%lld) and at most %d, got %lld",
                    (long long)o->head_dim, 2 * GPT_ROTARY_MOST, (long long)o->rope_dims);
  return true;
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
  if (o->n_heads % o->n_kv_heads != 0)
    return gpt_fail(env, "MultiHeadAttention: n_heads (%lld) must be divisible by n_kv_heads (%lld)",
                    (long long)o->n_heads, (long long)o->n_kv_heads);
  return complete_rotary(env, o);
}

const GptAttentionOptions *gpt_attention_options(const GptLayer *attention) {
  return &((const Attention *)attention)->options;
}

GptLayer *gpt_attention_new(GptEnv *env, GptAttentionOptions options, GptInit init, GptInit residual) {
  if (!complete_options(env, &options)) return NULL;
  bool turns = options.rope_base != 0;
  Attention *attention =
      gpt_layer_new(env, &gpt_attention_kind, turns ? sizeof *attention : offsetof(Attention, rotary));
  if (attention == NULL) return NULL;
  attention->options = options;
  if (turns) {
    attention->scaling = *options.rope_scaling;
    attention->options.rope_scaling = &attention->scaling;
    gpt_rotary_init(&attention->rotary, options.rope_dims, options.rope_base, options.rope_interleaved,
                    &attention->scaling);
  }
  int64_t width = options.n_heads * options.head_dim;
  if (add_projections(env, &attention->layer, &options, init) && add_head_norms(env, &attention->layer, &options, init) &&
      gpt_layer_adopt_child(env, &attention->layer, "output",
                            gpt_linear_new(env, width, options.emb_dim, !options.no_bias, residual)))
    return &attention->layer;
  gpt_layer_release(&attention->layer);
  return NULL;
}
