/*
 * Grammars: which texts may be generated, as rules over bytes.
 *
 * A rule is a small automaton: states, and edges between them that take a byte of a range, take nothing, or go through
 * another rule, once or several times. A grammar is built state by state, then finished, which checks it; from then on
 * it is only read, and any number of matchers (grammar_matcher.h) may share it.
 */
#ifndef GPT_GRAMMAR_H
#define GPT_GRAMMAR_H

#include "core/base/env.h"

#define GPT_GRAMMAR_MOST_STATES 500000 /* of a grammar; about 40 bytes each */
#define GPT_GRAMMAR_MOST_EDGES 2000000 /* about 16 bytes each, and twice that while it is made */

typedef struct GptGrammar GptGrammar;

GptGrammar *gpt_grammar_new(GptEnv *env);
void gpt_grammar_free(GptGrammar *grammar); /* NULL is fine */

/* Before its first rule: it may have fewer states and edges than those above. */
void gpt_grammar_limit(GptGrammar *grammar, size_t states, size_t edges);

/* A new rule with a start and an end state and no way between them; its number, or -1. name: as messages show it. */
int64_t gpt_grammar_add_rule(GptGrammar *grammar, const char *name);
int64_t gpt_grammar_start(const GptGrammar *grammar, int64_t rule);
int64_t gpt_grammar_end(const GptGrammar *grammar, int64_t rule);

/* A new state, or the first of several whose numbers follow each other, or -1. They belong to the rule between whose states
   they will lie. */
int64_t gpt_grammar_add_state(GptGrammar *grammar);
int64_t gpt_grammar_add_states(GptGrammar *grammar, size_t count);

/* New edges between two states of one rule: for a byte from low to high; for a character from low to high in UTF-8
   (surrogates are none: they are left out); for nothing; through a rule. No edge may leave an end state. */
bool gpt_grammar_add_bytes(GptGrammar *grammar, int64_t from, int low, int high, int64_t to);
bool gpt_grammar_add_characters(GptGrammar *grammar, int64_t from, uint32_t low, uint32_t high, int64_t to);
bool gpt_grammar_add_skip(GptGrammar *grammar, int64_t from, int64_t to);
bool gpt_grammar_add_call(GptGrammar *grammar, int64_t from, int64_t rule, int64_t to);

/* An edge through a rule several times, from least to most; most 0: any number of times. It costs the same however many. */
bool gpt_grammar_add_repeat(GptGrammar *grammar, int64_t from, int64_t rule, uint32_t least, uint32_t most, int64_t to);

/* Makes it ready for use. A rule within reach of the root that never ends, or begins with itself, is an error. */
bool gpt_grammar_finish(GptGrammar *grammar, int64_t root);

size_t gpt_grammar_rules(const GptGrammar *grammar);
size_t gpt_grammar_states(const GptGrammar *grammar);
size_t gpt_grammar_bytes(const GptGrammar *grammar); /* that it holds */

#endif
