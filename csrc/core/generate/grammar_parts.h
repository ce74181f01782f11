/* What a grammar is made of, for the files that check it and match with it. */
#ifndef GPT_GRAMMAR_PARTS_H
#define GPT_GRAMMAR_PARTS_H

#include "core/generate/grammar.h"

typedef enum GptEdgeKind {
  GPT_EDGE_BYTES, /* takes a byte from low to high */
  GPT_EDGE_SKIP,  /* takes nothing */
  GPT_EDGE_CALL,  /* goes through a rule, then to `to` */
  GPT_EDGE_REPEAT /* goes through a rule several times; `rule` is the number of a GptRepeat */
} GptEdgeKind;

typedef struct GptEdge {
  uint32_t from, to, rule;
  uint8_t kind, low, high;
} GptEdge;

/* How often an edge goes through a rule: least >= 1; most 0: any number of times. */
typedef struct GptRepeat {
  uint32_t rule, least, most;
} GptRepeat;

typedef struct GptRule {
  uint32_t start, end;
  char *name;
} GptRule;

struct GptGrammar {
  GptEnv *env;
  GptEdge *edges; /* [edge_count]; finished: in the order of `from` */
  size_t edge_count, edge_room;
  GptRepeat *repeats; /* [repeat_count] */
  size_t repeat_count, repeat_room;
  GptRule *rules; /* [rule_count] */
  size_t rule_count, rule_room;
  size_t states;
  size_t most_states, most_edges;
  size_t name_bytes; /* of all rules */
  /* made by gpt_grammar_finish: */
  uint32_t root;
  uint32_t *first;     /* [states + 1]: the edges of state s are first[s] .. first[s + 1] - 1 */
  uint8_t *traits;     /* [states]: GPT_STATE_... */
  uint8_t classes[256]; /* by byte: bytes of one class are on the same edges everywhere */
  uint8_t sample[256];  /* by class: its first byte */
  uint16_t sizes[256];  /* by class: how many bytes */
  int class_count;
};

enum {
  GPT_STATE_END = 1,   /* of a rule */
  GPT_STATE_TAIL = 2,  /* nothing but the end can follow */
  GPT_STATE_TAKES = 4  /* it has edges for bytes */
};

/* Whether an edge goes through a rule, and that rule. */
static inline bool gpt_edge_calls(const GptEdge *edge) {
  return edge->kind == GPT_EDGE_CALL || edge->kind == GPT_EDGE_REPEAT;
}

static inline uint32_t gpt_edge_rule(const GptGrammar *grammar, const GptEdge *edge) {
  return edge->kind == GPT_EDGE_REPEAT ? grammar->repeats[edge->rule].rule : edge->rule;
}

/* False and a message for a rule within reach of the root that cannot be met or would never get to its first byte. */
bool gpt_grammar_check(GptGrammar *grammar);

#endif
