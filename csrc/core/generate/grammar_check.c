/*
 * What a grammar must not be: a rule that never ends has no text, and one that begins with itself would be entered for
 * ever before it takes its first byte. Only rules within reach of the root count. Nothing here recurses.
 */
#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"
#include "core/base/text.h"
#include "core/generate/grammar_parts.h"

#define NONE UINT32_MAX

/* A walk over states: each is visited once. */
typedef struct Walk {
  GptGrammar *grammar;
  uint8_t *visited;  /* [states] */
  uint32_t *line;    /* [states]: those that are to be visited */
  size_t waiting;
  uint32_t *blocked; /* [rules]: the first of the edges that wait for the end of a rule, or NONE */
  uint32_t *next;    /* [edges]: the next of these */
  uint8_t *ends;     /* [rules]: its end was visited */
  uint8_t *known;    /* [rules]: its start is within reach of the root */
} Walk;

static void walk_free(Walk *walk) {
  GptEnv *env = walk->grammar->env;
  gpt_free(env, walk->visited);
  gpt_free(env, walk->line);
  gpt_free(env, walk->blocked);
  gpt_free(env, walk->next);
  gpt_free(env, walk->ends);
  gpt_free(env, walk->known);
}

static bool walk_init(Walk *walk, GptGrammar *grammar) {
  GptEnv *env = grammar->env;
  *walk = (Walk){.grammar = grammar};
  return (walk->visited = gpt_alloc_zeroed(env, grammar->states)) != NULL &&
         (walk->line = gpt_alloc_array(env, grammar->states, sizeof *walk->line)) != NULL &&
         (walk->blocked = gpt_alloc_array(env, grammar->rule_count, sizeof *walk->blocked)) != NULL &&
         (walk->next = gpt_alloc_array(env, grammar->edge_count, sizeof *walk->next)) != NULL &&
         (walk->ends = gpt_alloc_zeroed(env, grammar->rule_count)) != NULL &&
         (walk->known = gpt_alloc_zeroed(env, grammar->rule_count)) != NULL;
}

static void visit_state(Walk *walk, uint32_t state) {
  if (walk->visited[state]) return;
  walk->visited[state] = 1;
  walk->line[walk->waiting++] = state;
}

/* Goes on behind a rule's call, now or once its end is visited. */
static void pass_rule(Walk *walk, uint32_t edge) {
  const GptEdge *e = &walk->grammar->edges[edge];
  uint32_t rule = gpt_edge_rule(walk->grammar, e);
  if (walk->ends[rule]) {
    visit_state(walk, e->to);
    return;
  }
  walk->next[edge] = walk->blocked[rule];
  walk->blocked[rule] = edge;
}

static void end_rule(Walk *walk, uint32_t rule) {
  walk->ends[rule] = 1;
  for (uint32_t edge = walk->blocked[rule]; edge != NONE; edge = walk->next[edge]) visit_state(walk, walk->grammar->edges[edge].to);
  walk->blocked[rule] = NONE;
}

/* The rule of an end state is told by owner [states]. Finds the rules whose end can be reached from their start; without
   `bytes` by ways that take nothing. */
static void find_ends(Walk *walk, const uint32_t *owner, bool bytes) {
  GptGrammar *g = walk->grammar;
  memset(walk->visited, 0, g->states);
  memset(walk->ends, 0, g->rule_count);
  walk->waiting = 0;
  for (size_t r = 0; r < g->rule_count; r++) walk->blocked[r] = NONE;
  for (size_t r = 0; r < g->rule_count; r++) visit_state(walk, g->rules[r].start);
  while (walk->waiting > 0) {
    uint32_t s = walk->line[--walk->waiting];
    if (owner[s] != NONE) end_rule(walk, owner[s]);
    for (uint32_t e = g->first[s]; e < g->first[s + 1]; e++) {
      if (gpt_edge_calls(&g->edges[e])) pass_rule(walk, e);
      else if (g->edges[e].kind == GPT_EDGE_SKIP || bytes) visit_state(walk, g->edges[e].to);
    }
  }
}

/* Marks the rules within reach of the root. */
static void find_known(Walk *walk) {
  GptGrammar *g = walk->grammar;
  memset(walk->visited, 0, g->states);
  walk->waiting = 0;
  walk->known[g->root] = 1;
  visit_state(walk, g->rules[g->root].start);
  while (walk->waiting > 0) {
    uint32_t s = walk->line[--walk->waiting];
    for (uint32_t e = g->first[s]; e < g->first[s + 1]; e++) {
      visit_state(walk, g->edges[e].to);
      if (!gpt_edge_calls(&g->edges[e])) continue;
      uint32_t rule = gpt_edge_rule(g, &g->edges[e]);
      walk->known[rule] = 1;
      visit_state(walk, g->rules[rule].start);
    }
  }
}

static bool check_ends(Walk *walk) {
  GptGrammar *g = walk->grammar;
  for (size_t r = 0; r < g->rule_count; r++)
    if (walk->known[r] && !walk->ends[r])
      return gpt_fail(g->env, "%s never ends: every way through it needs it, or another such rule, again",
                      g->rules[r].name);
  return true;
}

/* Rules that a rule may begin with: calls[first[r] .. first[r + 1] - 1]. */
typedef struct Beginnings {
  uint32_t *first, *calls;
} Beginnings;

static void find_beginnings(Walk *walk, Beginnings *found) {
  GptGrammar *g = walk->grammar;
  uint32_t count = 0;
  memset(walk->visited, 0, g->states);
  for (size_t r = 0; r < g->rule_count; r++) {
    found->first[r] = count;
    walk->waiting = 0;
    visit_state(walk, g->rules[r].start);
    while (walk->waiting > 0) {
      uint32_t s = walk->line[--walk->waiting];
      for (uint32_t e = g->first[s]; e < g->first[s + 1]; e++) {
        const GptEdge *edge = &g->edges[e];
        bool calls = gpt_edge_calls(edge), nothing = edge->kind == GPT_EDGE_SKIP;
        if (calls) found->calls[count++] = gpt_edge_rule(g, edge);
        if (nothing || (calls && walk->ends[gpt_edge_rule(g, edge)])) visit_state(walk, edge->to);
      }
    }
  }
  found->first[g->rule_count] = count;
}

/* path [depth]: rules, the last of which may begin with path[from]. */
static bool fail_recursion(GptGrammar *g, const uint32_t *path, size_t from, size_t depth) {
  GptText names;
  gpt_text_init(&names, g->env);
  for (size_t i = from; i < depth && i < from + 8; i++) gpt_text_add(&names, "%s -> ", g->rules[path[i]].name);
  gpt_text_add(&names, "%s%s", depth > from + 8 ? "... -> " : "", g->rules[path[from]].name);
  if (!names.failed)
    gpt_fail(g->env, "left recursion: %s: a rule must not begin with itself; write a repetition, as in a (\"+\" a)*",
             names.data);
  gpt_text_free(&names);
  return false;
}

/* Depth first from a rule; state [rules]: 0 new, 1 on the path, 2 done. at [rules]: the next beginning to look at. */
static bool check_from(GptGrammar *g, const Beginnings *b, uint32_t rule, uint8_t *state, uint32_t *at, uint32_t *path) {
  size_t depth = 1;
  path[0] = rule;
  state[rule] = 1;
  at[rule] = b->first[rule];
  while (depth > 0) {
    uint32_t top = path[depth - 1];
    if (at[top] == b->first[top + 1]) {
      state[top] = 2;
      depth--;
      continue;
    }
    uint32_t next = b->calls[at[top]++];
    if (state[next] == 1) {
      size_t from = 0;
      while (path[from] != next) from++;
      return fail_recursion(g, path, from, depth);
    }
    if (state[next] == 2) continue;
    state[next] = 1;
    at[next] = b->first[next];
    path[depth++] = next;
  }
  return true;
}

static bool check_beginnings(Walk *walk) {
  GptGrammar *g = walk->grammar;
  GptEnv *env = g->env;
  Beginnings b = {gpt_alloc_array(env, g->rule_count + 1, sizeof *b.first),
                  gpt_alloc_array(env, g->edge_count, sizeof *b.calls)};
  uint8_t *state = gpt_alloc_zeroed(env, g->rule_count);
  uint32_t *at = gpt_alloc_array(env, g->rule_count, sizeof *at), *path = gpt_alloc_array(env, g->rule_count, sizeof *path);
  bool good = b.first != NULL && b.calls != NULL && state != NULL && at != NULL && path != NULL;
  if (good) {
    find_beginnings(walk, &b);
    good = check_from(g, &b, g->root, state, at, path);
    for (uint32_t r = 0; good && r < g->rule_count; r++)
      if (walk->known[r] && state[r] == 0) good = check_from(g, &b, r, state, at, path);
  }
  gpt_free(env, b.first);
  gpt_free(env, b.calls);
  gpt_free(env, state);
  gpt_free(env, at);
  gpt_free(env, path);
  return good;
}

/* By state: the rule whose end it is, or NONE. */
static uint32_t *find_owners(GptGrammar *g) {
  uint32_t *owner = gpt_alloc_array(g->env, g->states, sizeof *owner);
  if (owner == NULL) return NULL;
  for (size_t s = 0; s < g->states; s++) owner[s] = NONE;
  for (size_t r = 0; r < g->rule_count; r++) owner[g->rules[r].end] = (uint32_t)r;
  return owner;
}

bool gpt_grammar_check(GptGrammar *grammar) {
  Walk walk;
  uint32_t *owner = find_owners(grammar);
  bool good = walk_init(&walk, grammar) && owner != NULL;
  if (good) {
    find_known(&walk);
    find_ends(&walk, owner, true);
    good = check_ends(&walk);
  }
  if (good) {
    find_ends(&walk, owner, false);
    good = check_beginnings(&walk);
  }
  gpt_free(grammar->env, owner);
  walk_free(&walk);
  return good;
}
