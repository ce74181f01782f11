#include "core/nn/layer_dtype.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_tree.h"
#include "core/nn/layers/kinds.h"

static bool holds_any(const GptLayer *layer) {
  return layer->kind == &gpt_linear_kind || layer->kind == &gpt_embedding_kind;
}

bool gpt_layer_may_hold(const GptLayer *layer, const char *name, GptDtype dtype) {
  return dtype == GPT_F32 || (holds_any(layer) && dtype != GPT_I64 && strcmp(name, "weight") == 0);
}

/* The weights to convert, each once, and what becomes of them. */
typedef struct Converting {
  GptDtype dtype;
  size_t count, capacity;
  GptTensor **weights;   /* [count], borrowed: the layers hold them */
  GptTensor **converted; /* [count] */
} Converting;

static bool converts_weight(const Converting *c, const GptTensor *weight) {
  for (size_t i = 0; i < c->count; i++)
    if (c->weights[i] == weight) return true;
  return false;
}

/* What a weight becomes. A dtype that cannot be written stays, for the conversion to refuse. */
static GptDtype fitting_dtype(GptDtype dtype, const GptTensor *weight) {
  const GptDtypeRow *row = gpt_dtype(dtype);
  return weight->shape[1] % row->block == 0 || row->from_floats == NULL ? dtype : GPT_F16;
}

static bool list_weights(GptEnv *env, const GptLayerList *layers, Converting *c) {
  for (int64_t i = 0; i < layers->count; i++) {
    GptTensor *weight = holds_any(layers->layers[i]) ? gpt_layer_parameter(layers->layers[i], "weight") : NULL;
    if (weight == NULL || converts_weight(c, weight)) continue;
    if (weight->storage->dtype == fitting_dtype(c->dtype, weight)) continue;
    if (weight->node != NULL)
      return gpt_fail(env,
                      "to: the weight of a %s was computed from others that require a gradient; give it a detach()",
                      gpt_layer_name(layers->layers[i]));
    if (!GPT_GROW(env, c->weights, c->capacity, c->count, 1)) return false;
    c->weights[c->count++] = weight;
  }
  return true;
}

/* How many weights from i on lie behind each other. */
static size_t adjoining(const Converting *c, size_t i) {
  size_t n = 1;
  while (i + n < c->count && gpt_tensor_adjoins(c->weights[i + n - 1], c->weights[i + n])) n++;
  return n;
}

/* Those rows of a matrix. */
static GptTensor *rows_view(GptEnv *env, const GptTensor *of, int64_t first, int64_t rows) {
  int64_t shape[2] = {rows, of->shape[1]};
  return gpt_tensor_view(env, of, 2, shape, of->stride, of->offset + first * of->stride[0]);
}

/* Converts n weights from i on that lie behind each other, together. */
static bool convert_run(GptEnv *env, Converting *c, size_t i, size_t n) {
  int64_t rows = 0, at = 0;
  for (size_t k = 0; k < n; k++) rows += c->weights[i + k]->shape[0];
  GptTensor *run = rows_view(env, c->weights[i], 0, rows);
  GptTensor *whole = gpt_tensor_then(run, gpt_tensor_convert(env, run, fitting_dtype(c->dtype, c->weights[i])));
  bool done = whole != NULL;
  for (size_t k = 0; k < n && done; k++) {
    c->converted[i + k] = rows_view(env, whole, at, c->weights[i + k]->shape[0]);
    done = c->converted[i + k] != NULL;
    at += c->weights[i + k]->shape[0];
  }
  gpt_tensor_release(whole);
  return done;
}

static bool convert_weights(GptEnv *env, Converting *c) {
  c->converted = gpt_alloc_array_zeroed(env, c->count, sizeof *c->converted);
  bool done = c->converted != NULL;
  for (size_t i = 0, n; i < c->count && done; i += n) {
    n = adjoining(c, i);
    done = convert_run(env, c, i, n);
  }
  return done;
}

/* Nothing here fails: the weights change all at once. Every layer of one is stamped as changed. */
static void commit_weights(GptEnv *env, const GptLayerList *layers, const Converting *c) {
  for (int64_t i = 0; i < layers->count; i++) {
    GptTensor *weight = holds_any(layers->layers[i]) ? gpt_layer_parameter(layers->layers[i], "weight") : NULL;
    if (weight != NULL && converts_weight(c, weight)) gpt_layer_set_parameter(env, layers->layers[i], "weight", weight);
  }
  for (size_t i = 0; i < c->count; i++) {
    gpt_tensor_assume(c->weights[i], c->converted[i]);
    c->weights[i]->requires_grad = c->dtype == GPT_F32;
  }
}

bool gpt_layer_convert(GptEnv *env, GptLayer *root, GptDtype dtype) {
  GptLayerList layers = {.env = env};
  Converting c = {.dtype = dtype};
  if (dtype == GPT_I64) return gpt_fail(env, "to: weights are floats, not i64");
  if (env->collecting) return gpt_fail(env, "to: a finalizer converts weights in the middle of an operation");
  bool done = gpt_layer_list(env, root, false, &layers) && list_weights(env, &layers, &c) && convert_weights(env, &c);
  if (done) commit_weights(env, &layers, &c);
  for (size_t i = 0; c.converted != NULL && i < c.count; i++) gpt_tensor_release(c.converted[i]);
  gpt_free(env, c.converted);
  gpt_free(env, c.weights);
  gpt_layer_list_free(&layers);
  return done;
}
