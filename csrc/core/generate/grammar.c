#include "core/generate/grammar.h"

#include <stdlib.h>
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/generate/grammar_parts.h"

GptGrammar *gpt_grammar_new(GptEnv *env) {
  GptGrammar *grammar = gpt_alloc_zeroed(env, sizeof *grammar);
  if (grammar == NULL) return NULL;
  grammar->env = env;
  gpt_grammar_limit(grammar, GPT_GRAMMAR_MOST_STATES, GPT_GRAMMAR_MOST_EDGES);
  return grammar;
}

void gpt_grammar_limit(GptGrammar *grammar, size_t states, size_t edges) {
  grammar->most_states = states;
  grammar->most_edges = edges;
}

void gpt_grammar_free(GptGrammar *grammar) {
  if (grammar == NULL) return;
  GptEnv *env = grammar->env;
  for (size_t i = 0; i < grammar->rule_count; i++) gpt_free(env, grammar->rules[i].name);
  gpt_free(env, grammar->rules);
  gpt_free(env, grammar->repeats);
  gpt_free(env, grammar->edges);
  gpt_free(env, grammar->first);
  gpt_free(env, grammar->traits);
  gpt_free(env, grammar);
}

size_t gpt_grammar_rules(const GptGrammar *grammar) { return grammar->rule_count; }

size_t gpt_grammar_states(const GptGrammar *grammar) { return grammar->states; }

size_t gpt_grammar_bytes(const GptGrammar *g) {
  return sizeof *g + g->edge_room * sizeof *g->edges + g->rule_room * sizeof *g->rules +
         g->repeat_room * sizeof *g->repeats + g->name_bytes +
         g->states * (sizeof *g->first + sizeof *g->traits);
}

int64_t gpt_grammar_start(const GptGrammar *grammar, int64_t rule) { return grammar->rules[rule].start; }

int64_t gpt_grammar_end(const GptGrammar *grammar, int64_t rule) { return grammar->rules[rule].end; }

int64_t gpt_grammar_add_states(GptGrammar *grammar, size_t count) {
  if (count > grammar->most_states - grammar->states) {
    gpt_fail(grammar->env, "it takes more than %zu states: repeat less, or fewer parts", grammar->most_states);
    return -1;
  }
  grammar->states += count;
  return (int64_t)(grammar->states - count);
}

int64_t gpt_grammar_add_state(GptGrammar *grammar) { return gpt_grammar_add_states(grammar, 1); }

int64_t gpt_grammar_add_rule(GptGrammar *grammar, const char *name) {
  if (!GPT_GROW(grammar->env, grammar->rules, grammar->rule_room, grammar->rule_count, 1)) return -1;
  int64_t start = gpt_grammar_add_state(grammar), end = gpt_grammar_add_state(grammar);
  char *copy = start < 0 || end < 0 ? NULL : gpt_copy_string(grammar->env, name);
  if (copy == NULL) return -1;
  grammar->name_bytes += strlen(copy) + 1;
  grammar->rules[grammar->rule_count] = (GptRule){(uint32_t)start, (uint32_t)end, copy};
  return (int64_t)grammar->rule_count++;
}

static bool add_edge(GptGrammar *grammar, GptEdge edge) {
  if (grammar->edge_count == grammar->most_edges)
    return gpt_fail(grammar->env, "it takes more than %zu edges between states: repeat less, or fewer parts",
                    grammar->most_edges);
  if (!GPT_GROW(grammar->env, grammar->edges, grammar->edge_room, grammar->edge_count, 1)) return false;
  grammar->edges[grammar->edge_count++] = edge;
  return true;
}

bool gpt_grammar_add_bytes(GptGrammar *grammar, int64_t from, int low, int high, int64_t to) {
  return add_edge(grammar, (GptEdge){.from = (uint32_t)from, .to = (uint32_t)to, .kind = GPT_EDGE_BYTES,
                                     .low = (uint8_t)low, .high = (uint8_t)high});
}

bool gpt_grammar_add_skip(GptGrammar *grammar, int64_t from, int64_t to) {
  return add_edge(grammar, (GptEdge){.from = (uint32_t)from, .to = (uint32_t)to, .kind = GPT_EDGE_SKIP});
}

bool gpt_grammar_add_call(GptGrammar *grammar, int64_t from, int64_t rule, int64_t to) {
  return add_edge(grammar, (GptEdge){.from = (uint32_t)from, .to = (uint32_t)to, .rule = (uint32_t)rule,
                                     .kind = GPT_EDGE_CALL});
}

bool gpt_grammar_add_repeat(GptGrammar *grammar, int64_t from, int64_t rule, uint32_t least, uint32_t most, int64_t to) {
  if (least == 0 && !gpt_grammar_add_skip(grammar, from, to)) return false;
  if (!GPT_GROW(grammar->env, grammar->repeats, grammar->repeat_room, grammar->repeat_count, 1)) return false;
  grammar->repeats[grammar->repeat_count] = (GptRepeat){(uint32_t)rule, least > 0 ? least : 1, most};
  return add_edge(grammar, (GptEdge){.from = (uint32_t)from, .to = (uint32_t)to, .kind = GPT_EDGE_REPEAT,
                                     .rule = (uint32_t)grammar->repeat_count++});
}

/* Puts the edges in the order of their first states, by counting. */
static bool sort_edges(GptGrammar *grammar) {
  GptEnv *env = grammar->env;
  size_t n = grammar->edge_count;
  GptEdge *sorted = gpt_alloc_array(env, n, sizeof *sorted);
  grammar->first = gpt_alloc_array_zeroed(env, grammar->states + 1, sizeof *grammar->first);
  if (sorted == NULL || grammar->first == NULL) {
    gpt_free(env, sorted);
    return false;
  }
  uint32_t *first = grammar->first;
  for (size_t i = 0; i < n; i++) first[grammar->edges[i].from + 1]++;
  for (size_t s = 0; s < grammar->states; s++) first[s + 1] += first[s];
  for (size_t i = n; i-- > 0;) { /* from the last one of each state down: first[s + 1] becomes first[s] */
    GptEdge edge = grammar->edges[i];
    sorted[--first[edge.from + 1]] = edge;
  }
  memmove(first, first + 1, grammar->states * sizeof *first);
  first[grammar->states] = (uint32_t)n;
  gpt_free(env, grammar->edges);
  grammar->edges = sorted;
  grammar->edge_room = n;
  return true;
}

static int compare_numbers(uint32_t a, uint32_t b) { return a < b ? -1 : a > b; }

/* Such that what join_next can join stands side by side. */
static int compare_edges(const void *a, const void *b) {
  const GptEdge *x = a, *y = b;
  int order = compare_numbers(x->kind, y->kind);
  if (order == 0) order = compare_numbers(x->rule, y->rule);
  if (order == 0) order = compare_numbers(x->to, y->to);
  return order != 0 ? order : compare_numbers(x->low, y->low);
}

/* Puts an edge into the one before it in that order, where one edge can do what both do. */
static bool join_next(GptEdge *last, const GptEdge *edge) {
  if (edge->kind != last->kind || edge->rule != last->rule || edge->to != last->to || edge->low > last->high + 1)
    return false;
  if (edge->high > last->high) last->high = edge->high;
  return true;
}

/* Leaves one of equal edges, so that a step costs no more than the different ways that it opens. */
static void join_edges(GptGrammar *grammar) {
  GptEdge *edges = grammar->edges;
  size_t kept = 0, at = 0;
  for (size_t s = 0; s < grammar->states; s++) {
    size_t first = kept, end = grammar->first[s + 1];
    if (end - at > 1) qsort(edges + at, end - at, sizeof *edges, compare_edges);
    for (; at < end; at++)
      if (kept == first || !join_next(&edges[kept - 1], &edges[at])) edges[kept++] = edges[at];
    grammar->first[s + 1] = (uint32_t)kept;
  }
  grammar->edge_count = kept;
}

/* A state whose one edge is a skip to a tail is one as well; chains of skips are followed to their end. */
static void mark_tail(GptGrammar *grammar, uint32_t state) {
  const uint32_t *first = grammar->first;
  uint32_t at = state;
  size_t steps = 0;
  while (steps++ < 64 && first[at + 1] - first[at] == 1 && grammar->edges[first[at]].kind == GPT_EDGE_SKIP)
    at = grammar->edges[first[at]].to;
  if (grammar->traits[at] & GPT_STATE_END) grammar->traits[state] |= GPT_STATE_TAIL;
}

static bool mark_states(GptGrammar *grammar) {
  grammar->traits = gpt_alloc_zeroed(grammar->env, grammar->states);
  if (grammar->traits == NULL) return false;
  for (size_t r = 0; r < grammar->rule_count; r++) grammar->traits[grammar->rules[r].end] = GPT_STATE_END;
  for (size_t i = 0; i < grammar->edge_count; i++)
    if (grammar->edges[i].kind == GPT_EDGE_BYTES) grammar->traits[grammar->edges[i].from] |= GPT_STATE_TAKES;
  for (size_t s = 0; s < grammar->states; s++) mark_tail(grammar, (uint32_t)s);
  return true;
}

/* Bytes between two neighbouring bounds of edges are of one class. */
static void make_classes(GptGrammar *grammar) {
  bool begins[257] = {true};
  for (size_t i = 0; i < grammar->edge_count; i++) {
    if (grammar->edges[i].kind != GPT_EDGE_BYTES) continue;
    begins[grammar->edges[i].low] = true;
    begins[grammar->edges[i].high + 1] = true;
  }
  for (int byte = 0; byte < 256; byte++) {
    if (begins[byte]) grammar->sample[grammar->class_count++] = (uint8_t)byte;
    grammar->classes[byte] = (uint8_t)(grammar->class_count - 1);
    grammar->sizes[grammar->class_count - 1]++;
  }
}

bool gpt_grammar_finish(GptGrammar *grammar, int64_t root) {
  grammar->root = (uint32_t)root;
  if (!sort_edges(grammar)) return false;
  join_edges(grammar);
  if (!mark_states(grammar)) return false;
  make_classes(grammar);
  return gpt_grammar_check(grammar);
}
