/*
 * A grammar over the tokens of a vocabulary: which may follow. A matcher keeps what it found out, so that a state that
 * comes again costs nothing; conversations share it, each with a cursor of its own.
 */
#ifndef GPT_GRAMMAR_MATCHER_H
#define GPT_GRAMMAR_MATCHER_H

#include "core/generate/grammar.h"
#include "core/generate/token_tree.h"

typedef struct GptMatcher GptMatcher;
typedef struct GptCursor GptCursor;

/* The grammar and the tree must outlive it. NULL and a message on failure. */
GptMatcher *gpt_matcher_new(GptEnv *env, const GptGrammar *grammar, const GptTokenTree *tree);
void gpt_matcher_free(GptMatcher *matcher); /* of its cursors only gpt_cursor_free may be called then; NULL is fine */

/* The bytes above which it forgets what no cursor stands on, before it learns more; and those that it holds. */
void gpt_matcher_keep(GptMatcher *matcher, size_t bytes);
size_t gpt_matcher_bytes(const GptMatcher *matcher);

/* A place in a text, at its beginning. ends [count]: the ids that may be drawn where the text is whole. */
GptCursor *gpt_cursor_new(GptMatcher *matcher, const int64_t *ends, size_t count);
void gpt_cursor_free(GptCursor *cursor); /* NULL is fine */

/* The logits [vocab] of the ids that may follow, and -inf for all others: the cursor's own, until the next call. NULL and
   a message on failure, which it also is where no id is left. */
const float *gpt_cursor_restrict(GptCursor *cursor, const float *logits, int64_t vocab);

/* Goes on by a token: 1; 0 where its bytes do not fit, or it has none: then the cursor stays; -1: an error. */
int gpt_cursor_take(GptCursor *cursor, int64_t id);

/* Writes the bytes that must follow, as far as there is no choice, and returns how many; -1: an error. *complete: behind
   them the text is whole, and nothing can follow. */
#define GPT_MOST_FORCED 1000 /* at a time */
int gpt_cursor_forced(GptCursor *cursor, char out[GPT_MOST_FORCED], bool *complete);

/* The one id that can follow, where there is one only and the text cannot end; otherwise -1; -2: an error. */
int64_t gpt_cursor_only(GptCursor *cursor);

bool gpt_cursor_can_end(const GptCursor *cursor);  /* the text so far is whole */
bool gpt_cursor_complete(const GptCursor *cursor); /* and nothing can follow */

/* Does the text of n bytes match? *fits: how many of its bytes begin a text that does. -1: an error. */
int gpt_grammar_matches(GptEnv *env, const GptGrammar *grammar, const char *text, size_t n, size_t *fits);

#endif
