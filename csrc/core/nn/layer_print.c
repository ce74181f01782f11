#include "core/nn/layer_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/nn/layer_parameters.h"
#include "core/nn/layer_tree.h"

#define DEEPEST 40 /* levels that are printed */
#define MOST_TIES 3

/* What is known of a layer before the tree is printed. */
typedef struct Shown {
  uint64_t likeness;       /* equal for trees that print alike */
  size_t arguments, bytes; /* what it says of itself, in Printer.arguments */
  char *path;              /* the place where it was printed, of its own; NULL: not yet, or there is nothing in it */
  bool open;               /* it is being printed: what stands below it and is it closes a circle */
} Shown;

typedef struct Printer {
  GptText *text;
  GptLayerList list; /* all layers, parts first */
  Shown *shown;      /* as list */
  GptParameterList parameters;
  GptText arguments;
} Printer;

/* Likeness: a hash over all that prints (FNV-1a). */
static uint64_t mix(uint64_t hash, const void *data, size_t bytes) {
  for (const unsigned char *at = data; bytes > 0; at++, bytes--) hash = (hash ^ *at) * 0x100000001B3u;
  return hash;
}

static uint64_t mix_text(uint64_t hash, const char *text) { return mix(hash, text, strlen(text) + 1); }

static uint64_t mix_parameters(uint64_t hash, const GptLayer *layer) {
  for (int i = 0; i < layer->n_parameters; i++) {
    const GptParameter *parameter = &layer->parameters[i];
    hash = mix_text(hash, parameter->name);
    hash = mix(hash, &parameter->follows, sizeof parameter->follows);
    hash = mix(hash, parameter->tensor->shape, (size_t)parameter->tensor->ndim * sizeof *parameter->tensor->shape);
  }
  return hash;
}

/* Parts come before the whole in the list; what does not closes a circle, and counts as nothing. */
static uint64_t mix_children(uint64_t hash, const Printer *p, const GptLayer *layer, int64_t index) {
  for (int i = 0; i < layer->n_children; i++) {
    int64_t child = gpt_layer_list_index(&p->list, layer->children[i].layer);
    uint64_t likeness = child >= 0 && child < index ? p->shown[child].likeness : 0;
    hash = mix_text(hash, layer->children[i].name);
    hash = mix(hash, &likeness, sizeof likeness);
  }
  return hash;
}

/* Asks the i-th layer of the list for its arguments. */
static void ask(Printer *p, int64_t i) {
  const GptLayer *layer = p->list.layers[i];
  Shown *shown = &p->shown[i];
  shown->arguments = p->arguments.length;
  if (layer->kind->describe != NULL) layer->kind->describe(layer, &p->arguments);
  shown->bytes = p->arguments.length - shown->arguments;
}

static void set_likeness(Printer *p, int64_t i) {
  const GptLayer *layer = p->list.layers[i];
  uint64_t hash = mix_text(0xCBF29CE484222325u, gpt_layer_name(layer));
  if (p->shown[i].bytes > 0) hash = mix(hash, p->arguments.data + p->shown[i].arguments, p->shown[i].bytes);
  hash = mix_parameters(hash, layer);
  p->shown[i].likeness = mix_children(hash, p, layer, i);
}

static Shown *shown_of(const Printer *p, const GptLayer *layer) {
  int64_t i = gpt_layer_list_index(&p->list, layer);
  return i < 0 ? NULL : &p->shown[i];
}

static void add_count(GptText *text, int64_t n) {
  char digits[32], grouped[48];
  int length = snprintf(digits, sizeof digits, "%" PRId64, n), at = 0;
  for (int i = 0; i < length; i++) {
    if (i > 0 && (length - i) % 3 == 0) grouped[at++] = ',';
    grouped[at++] = digits[i];
  }
  gpt_text_add_bytes(text, grouped, (size_t)at);
}

static void indent(GptText *text, int depth) { gpt_text_add(text, "%*s", 2 * depth, ""); }

/* "  -- 1,234": the parameters of a tree, shared ones once. */
static void add_total(const Printer *p, GptLayer *layer) {
  GptParameterList list;
  if (!gpt_layer_parameters(p->text->env, layer, &list)) {
    p->text->failed = true;
    return;
  }
  int64_t n = gpt_parameter_list_numel(&list);
  gpt_parameter_list_free(&list);
  if (n == 0) return;
  gpt_text_add(p->text, "  -- ");
  add_count(p->text, n);
}

/* The place that a parameter of the layer has been printed at, where that is another layer's; or NULL. */
static const char *tie_of(const Printer *p, const GptLayer *layer, const GptParameter *parameter) {
  const GptNamed *first = gpt_parameter_list_find(&p->parameters, parameter->tensor);
  return first == NULL || first->owner == layer ? NULL : first->path;
}

/* Behind a layer without parts: "  -- 768, weight tied to token_embedding.weight". */
static void add_own(const Printer *p, const GptLayer *layer) {
  int64_t n = 0;
  int ties = 0;
  for (int i = 0; i < layer->n_parameters; i++)
    if (tie_of(p, layer, &layer->parameters[i]) == NULL) n += gpt_tensor_numel(layer->parameters[i].tensor);
  if (n > 0) gpt_text_add(p->text, "  -- "), add_count(p->text, n);
  for (int i = 0; i < layer->n_parameters && ties < MOST_TIES; i++) {
    const char *tie = tie_of(p, layer, &layer->parameters[i]);
    if (tie == NULL) continue;
    gpt_text_add(p->text, "%s%s tied to %s", n > 0 || ties > 0 ? ", " : "  -- ", layer->parameters[i].name, tie);
    ties++;
  }
}

/* Counts from 1 name themselves; others are written. */
static bool is_number(const char *name) { return name[0] >= '1' && name[0] <= '9'; }

static bool alike(const Printer *p, const GptLayer *a, const GptLayer *b) {
  const Shown *left = shown_of(p, a), *right = shown_of(p, b);
  return left != NULL && right != NULL && left->likeness == right->likeness;
}

/* How many children from i on print alike, and are the same layer or are not, all of them. Only layers with parts of
 * their own are folded. */
static int count_alike(const Printer *p, const GptLayer *layer, int i, bool *same) {
  int n = 1;
  const GptLayer *first = layer->children[i].layer;
  *same = i + 1 < layer->n_children && layer->children[i + 1].layer == first;
  if (!is_number(layer->children[i].name) || first->n_children == 0) return 1;
  while (i + n < layer->n_children && alike(p, first, layer->children[i + n].layer) &&
         (layer->children[i + n].layer == first) == *same)
    n++;
  return n;
}

/* The path of a child, or NULL and the text has failed. The root's is "". */
static char *printed_path(const Printer *p, const char *above, const char *name) {
  size_t bytes = strlen(above) + strlen(name) + 2;
  char *path = gpt_alloc(p->text->env, bytes);
  if (path == NULL) p->text->failed = true;
  else snprintf(path, bytes, above[0] != '\0' ? "%s.%s" : "%s%s", above, name);
  return path;
}

static void add_arguments(const Printer *p, const Shown *shown) {
  if (shown->bytes > 0) gpt_text_add_bytes(p->text, p->arguments.data + shown->arguments, shown->bytes);
}

static void print_layer(Printer *p, GptLayer *layer, Shown *shown, int depth);

/* Does it print in braces, its parts on lines of their own? */
static bool has_lines(const GptLayer *layer) {
  return layer->n_children > 0 || (layer->kind->host && layer->n_parameters > 0);
}

/* A layer that was printed at another place, or that the tree around has got since. */
static void print_short(const Printer *p, const GptLayer *layer, const Shown *shown) {
  bool leaf = shown != NULL && !has_lines(layer);
  gpt_text_add(p->text, leaf ? "%s(" : "%s { ... }", gpt_layer_name(layer));
  if (leaf) add_arguments(p, shown), gpt_text_add(p->text, ")");
  gpt_text_add(p->text, ",");
  if (shown != NULL && !shown->open) gpt_text_add(p->text, "  -- the same layer as %s", shown->path);
}

static void print_here(Printer *p, GptLayer *layer, Shown *shown, const char *above, const char *name, int depth) {
  bool remembered = layer->n_children > 0 || layer->n_parameters > 0; /* others may print twice: there is nothing in them */
  if (remembered) shown->path = printed_path(p, above, name);
  if (remembered && shown->path == NULL) return;
  print_layer(p, layer, shown, depth);
  gpt_text_add(p->text, ",");
  if (!has_lines(layer)) add_own(p, layer);
}

/* The child that stands i-th, or a run of children that print alike; returns how many. above: their layer's path */
static int print_child(Printer *p, const GptLayer *layer, int i, const char *above, int depth) {
  bool same;
  GptChild child = layer->children[i];
  Shown *shown = shown_of(p, child.layer);
  bool short_form = shown == NULL || shown->path != NULL;
  int n = short_form ? 1 : count_alike(p, layer, i, &same);
  indent(p->text, depth);
  if (n > 1) {
    gpt_text_add(p->text, "-- %s to %s: %s%d times\n", child.name, layer->children[i + n - 1].name,
                 same ? "the same layer " : "", n);
    indent(p->text, depth);
  }
  if (!is_number(child.name)) gpt_text_add(p->text, "%s = ", child.name);
  if (short_form) print_short(p, child.layer, shown);
  else print_here(p, child.layer, shown, above, child.name, depth);
  gpt_text_add(p->text, "\n");
  return n;
}

static void print_parameter(const Printer *p, const GptLayer *layer, const GptParameter *parameter, int depth) {
  char shape[GPT_SHAPE_TEXT];
  const char *tie = tie_of(p, layer, parameter);
  indent(p->text, depth);
  gpt_text_add(p->text, "%s = parameter %s,", parameter->name, gpt_tensor_shape_text(parameter->tensor, shape));
  if (tie != NULL) gpt_text_add(p->text, "  -- tied to %s", tie);
  gpt_text_add(p->text, "\n");
}

/* In the order in which they were made; a kind written in C describes its own parameters. */
static void print_parts(Printer *p, const GptLayer *layer, const char *path, int depth) {
  int n = 0, parameters = layer->kind->host ? layer->n_parameters : 0;
  for (int i = 0;;) {
    for (; n < parameters && layer->parameters[n].follows <= i; n++)
      print_parameter(p, layer, &layer->parameters[n], depth);
    if (i >= layer->n_children) return;
    i += print_child(p, layer, i, path, depth);
  }
}

static void print_block(Printer *p, GptLayer *layer, Shown *shown, int depth) {
  gpt_text_add(p->text, "%s {", gpt_layer_name(layer));
  add_total(p, layer);
  gpt_text_add(p->text, "\n");
  if (shown->bytes > 0) {
    indent(p->text, depth + 1);
    add_arguments(p, shown);
    gpt_text_add(p->text, ",\n");
  }
  shown->open = true;
  print_parts(p, layer, shown->path, depth + 1);
  shown->open = false;
  indent(p->text, depth);
  gpt_text_add(p->text, "}");
}

static void print_layer(Printer *p, GptLayer *layer, Shown *shown, int depth) {
  bool braces = layer->kind->container, block = has_lines(layer);
  if (block && depth <= DEEPEST) {
    print_block(p, layer, shown, depth);
    return;
  }
  bool spaced = block || shown->bytes > 0; /* "List {}", and "Adapter { rank = 4 }" */
  gpt_text_add(p->text, !block && !braces ? "%s(" : spaced ? "%s { " : "%s {", gpt_layer_name(layer));
  if (block) gpt_text_add(p->text, "...");
  else add_arguments(p, shown);
  gpt_text_add(p->text, !block && !braces ? ")" : spaced ? " }" : "}");
}

/* What is known before: arguments, likeness, parameters. */
static bool prepare_print(Printer *p, GptLayer *root) {
  GptEnv *env = p->text->env;
  if (!gpt_layer_list(env, root, true, &p->list)) return false;
  p->shown = gpt_alloc_array_zeroed(env, (size_t)p->list.count, sizeof *p->shown);
  if (p->shown == NULL || !gpt_layer_parameters(env, root, &p->parameters)) return false;
  for (int64_t i = 0; i < p->list.count; i++) ask(p, i);
  for (int64_t i = 0; i < p->list.count; i++) set_likeness(p, i);
  return !p->arguments.failed;
}

static void finish_print(Printer *p) {
  GptEnv *env = p->text->env;
  for (int64_t i = 0; p->shown != NULL && i < p->list.count; i++) gpt_free(env, p->shown[i].path);
  gpt_free(env, p->shown);
  gpt_text_free(&p->arguments);
  gpt_parameter_list_free(&p->parameters);
  gpt_layer_list_free(&p->list);
}

void gpt_layer_print(GptLayer *layer, GptText *text) {
  GptEnv *env = text->env;
  Printer p = {.text = text, .list = {.env = env}, .parameters = {.env = env}};
  gpt_text_init(&p.arguments, env);
  Shown *root = prepare_print(&p, layer) ? shown_of(&p, layer) : NULL;
  if (root != NULL && (root->path = printed_path(&p, "", "")) != NULL) {
    print_layer(&p, layer, root, 0);
    if (!has_lines(layer)) add_total(&p, layer);
  } else {
    text->failed = true;
  }
  finish_print(&p);
}

void gpt_layer_print_alone(GptLayer *layer, GptText *text) {
  bool braces = layer->kind->container;
  gpt_text_add(text, braces ? "%s { " : "%s(", gpt_layer_name(layer));
  size_t before = text->length;
  if (layer->kind->describe != NULL) layer->kind->describe(layer, text);
  gpt_text_add(text, !braces ? ")" : text->length > before ? " }" : "}");
}
