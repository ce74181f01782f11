/* The texts of a vocabulary as a tree of bytes, for finding all tokens that some automaton takes in one walk. */
#ifndef GPT_TOKEN_TREE_H
#define GPT_TOKEN_TREE_H

#include "core/base/env.h"

/* One byte of one or more tokens. Nodes lie in the order of a walk from the root down, children behind their parent. */
typedef struct GptTokenNode {
  uint32_t end;   /* the first node behind those below this one */
  int32_t token;  /* the id that ends here, or -1 */
  uint16_t depth; /* bytes before this one */
  uint8_t byte;
} GptTokenNode;

typedef struct GptTokenTree {
  GptEnv *env;
  uint8_t *bytes;   /* of all tokens, one after the other */
  size_t used, room;
  size_t *starts;   /* [ids + 1]: where the bytes of an id begin; one without text has none */
  size_t start_room;
  int64_t ids;      /* so many were added */
  /* made by gpt_token_tree_finish: */
  GptTokenNode *nodes; /* [count] */
  size_t count;
  int32_t *same;    /* [ids]: another id with the same bytes, or -1 */
  size_t longest;   /* bytes of a token */
} GptTokenTree;

GptTokenTree *gpt_token_tree_new(GptEnv *env);
void gpt_token_tree_free(GptTokenTree *tree); /* NULL is fine */

/* Adds the next id, from 0 on, with a text of n bytes; returns where they are to be written. n = 0: it has none, and no
   text leads to it. NULL and a message on failure. */
char *gpt_token_tree_place(GptTokenTree *tree, size_t n);

/* Makes the nodes. */
bool gpt_token_tree_finish(GptTokenTree *tree);

/* The bytes of an id, and how many: none for one that has no text, and for an id that is not there. */
const uint8_t *gpt_token_tree_bytes(const GptTokenTree *tree, int64_t id, size_t *n);

#endif
