/* A tree of layers as text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/nn/layer.h"

#define DEEPEST 40

static void add_count(GptText *text, int64_t n) {
  char digits[32], grouped[48];
  int length = snprintf(digits, sizeof digits, "%" PRId64, n), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) grouped[at++] = ',';
    grouped[at++] = digits[i];
  }
  gpt_text_add_bytes(text, grouped, (size_t)at);
}

/* Parameters of a tree, shared ones once; -1 where memory is short. */
static int64_t count_layer_parameters(GptEnv *env, GptLayer *layer) {
  GptParameterList list;
  int64_t n = 0;
  if (!gpt_layer_parameters(env, layer, &list)) return -1;
  for (int64_t i = 0; i < list.count; i++) n += gpt_tensor_numel(list.items[i].tensor);
  gpt_parameter_list_free(&list);
  return n;
}

static void indent(GptText *text, int depth) { gpt_text_add(text, "%*s", 2 * depth, ""); }

static void add_comment(GptText *text, GptLayer *layer) {
  int64_t n = count_layer_parameters(text->env, layer);
  if (n <= 0) return;
  gpt_text_add(text, "  -- ");
  add_count(text, n);
}

/* Counts from 1 name themselves; others are written. */
static bool is_number(const char *name) { return name[0] >= '1' && name[0] <= '9'; }

static void print_layer(GptLayer *layer, GptText *text, const GptLayerPath *up);

/* The tree of a child without its name, to see whether neighbours are alike. */
static bool same_text(GptLayer *a, GptLayer *b, GptEnv *env, const GptLayerPath *up) {
  GptText left, right;
  gpt_text_init(&left, env);
  gpt_text_init(&right, env);
  print_layer(a, &left, up);
  print_layer(b, &right, up);
  bool same =
      !left.failed && !right.failed && left.length == right.length && memcmp(left.data, right.data, left.length) == 0;
  gpt_text_free(&left);
  gpt_text_free(&right);
  return same;
}

/* How many children from i on print alike: only layers with parts of their own are folded. */
static int alike(const GptLayer *layer, int i, GptEnv *env, const GptLayerPath *up) {
  int n = 1;
  if (!is_number(layer->children[i].name) || layer->children[i].layer->n_children == 0) return 1;
  while (i + n < layer->n_children && same_text(layer->children[i].layer, layer->children[i + n].layer, env, up)) n++;
  return n;
}

/* The child that stands i-th, or a run of children that print alike; returns how many. */
static int print_child(const GptLayer *layer, int i, GptText *text, const GptLayerPath *here) {
  const GptChild *child = &layer->children[i];
  int n = alike(layer, i, text->env, here), depth = here->depth + 1;
  indent(text, depth);
  if (n > 1)
    gpt_text_add(text, "-- %s to %s: %d times\n", child->name, layer->children[i + n - 1].name, n), indent(text, depth);
  if (!is_number(child->name)) gpt_text_add(text, "%s = ", child->name);
  print_layer(child->layer, text, here);
  gpt_text_add(text, ",");
  if (child->layer->n_children == 0) add_comment(text, child->layer);
  gpt_text_add(text, "\n");
  return n;
}

static void print_parameter(const GptParameter *parameter, GptText *text, int depth) {
  char shape[GPT_SHAPE_TEXT];
  indent(text, depth);
  gpt_text_add(text, "%s = parameter %s,\n", parameter->name, gpt_tensor_shape_text(parameter->tensor, shape));
}

/* In the order in which they were made; a kind written in C describes its own parameters. */
static void print_parts(const GptLayer *layer, GptText *text, const GptLayerPath *here) {
  int p = 0, parameters = layer->label != NULL ? layer->n_parameters : 0;
  for (int i = 0;;) {
    for (; p < parameters && layer->parameters[p].follows <= i; p++)
      print_parameter(&layer->parameters[p], text, here->depth + 1);
    if (i == layer->n_children) return;
    i += print_child(layer, i, text, here);
  }
}

static void print_block(GptLayer *layer, GptText *text, const GptLayerPath *here) {
  int depth = here->depth;
  gpt_text_add(text, "%s {", gpt_layer_name(layer));
  add_comment(text, layer);
  gpt_text_add(text, "\n");
  if (layer->kind->describe != NULL) {
    size_t before = text->length;
    indent(text, depth + 1);
    size_t start = text->length;
    layer->kind->describe(layer, text);
    if (text->length > start) gpt_text_add(text, ",\n");
    else if (!text->failed) text->length = before;
  }
  print_parts(layer, text, here);
  indent(text, depth);
  gpt_text_add(text, "}");
}

static void print_layer(GptLayer *layer, GptText *text, const GptLayerPath *up) {
  GptLayerPath here = {up, layer, up != NULL ? up->depth + 1 : 0};
  if (here.depth > DEEPEST || gpt_layer_on_path(up, layer)) {
    gpt_text_add(text, "%s { ... }", gpt_layer_name(layer));
  } else if (layer->n_children > 0 || (layer->label != NULL && layer->n_parameters > 0)) {
    print_block(layer, text, &here);
  } else {
    gpt_text_add(text, layer->kind->container ? "%s {" : "%s(", gpt_layer_name(layer));
    if (layer->kind->describe != NULL) layer->kind->describe(layer, text);
    gpt_text_add(text, layer->kind->container ? "}" : ")");
  }
}

void gpt_layer_print(GptLayer *layer, GptText *text) {
  print_layer(layer, text, NULL);
  if (layer->n_children == 0) add_comment(text, layer);
}
