/* gpt.grammar's values, and what the front ends and the generating loop in Lua do with them. */
#include "binding/grammar.h"

#include <string.h>

#include "binding/fields.h"
#include "core/tokenizer/tokenizer.h"

#define GRAMMAR "gpt.Grammar"
#define BUILDER "gpt.GrammarBuilder" /* this and the next ones are seen by lua/gpt/grammar and lua/gpt/generate only */
#define TREE "gpt.TokenTree"
#define MATCHER "gpt.GrammarMatcher"
#define CURSOR "gpt.GrammarCursor"

/***
A grammar, from `gpt.grammar`: what may be generated.
@classmod Grammar
*/

/* _grammar_builder(what [, share]): an empty grammar. `what` begins the messages. share: of the bounds on its size, up to 1 */
static int new_builder(lua_State *L) {
  bind_check_string(L, 1);
  double share = bind_opt_number(L, 2, 1);
  if (!(share > 0 && share <= 1)) bind_argument_error(L, 2, "a share expected");
  void **box = bind_push_box(L, BUILDER, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  GptGrammar *grammar = *box = gpt_grammar_new(bind_env(L));
  if (grammar == NULL) return bind_raise(L, bind_env(L));
  gpt_grammar_limit(grammar, (size_t)(GPT_GRAMMAR_MOST_STATES * share), (size_t)(GPT_GRAMMAR_MOST_EDGES * share));
  return 1;
}

/* builder:at(what): what begins the messages from now on */
static int builder_at(lua_State *L) {
  bind_check(L, 1, BUILDER);
  bind_check_string(L, 2);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 1);
  return 0;
}

/* Raises the core's error behind the name of the builder, which is argument 1. */
static int raise_building(lua_State *L) {
  lua_getiuservalue(L, 1, 1);
  gpt_fail_at(bind_env(L), "%s", lua_tostring(L, -1));
  return bind_raise(L, bind_env(L));
}

static int64_t check_rule(lua_State *L, const GptGrammar *grammar, int index) {
  lua_Integer rule = bind_check_integer(L, index);
  if (!(rule >= 0 && rule < (lua_Integer)gpt_grammar_rules(grammar))) bind_argument_error(L, index, "no such rule");
  return rule;
}

static int64_t check_state(lua_State *L, const GptGrammar *grammar, int index) {
  lua_Integer state = bind_check_integer(L, index);
  if (!(state >= 0 && state < (lua_Integer)gpt_grammar_states(grammar))) bind_argument_error(L, index, "no such state");
  return state;
}

/* builder:rule(name): its number, its start state and its end state */
static int builder_rule(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t rule = gpt_grammar_add_rule(grammar, bind_check_string(L, 2));
  if (rule < 0) return raise_building(L);
  lua_pushinteger(L, rule);
  lua_pushinteger(L, gpt_grammar_start(grammar, rule));
  lua_pushinteger(L, gpt_grammar_end(grammar, rule));
  return 3;
}

static int builder_state(lua_State *L) {
  int64_t state = gpt_grammar_add_state(bind_check(L, 1, BUILDER));
  if (state < 0) return raise_building(L);
  lua_pushinteger(L, state);
  return 1;
}

/* builder:states(n): the first of n new ones, whose numbers follow each other */
static int builder_states(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  lua_Integer count = bind_check_integer(L, 2);
  if (count < 0) bind_argument_error(L, 2, "a number of states expected");
  int64_t first = gpt_grammar_add_states(grammar, (size_t)count);
  if (first < 0) return raise_building(L);
  lua_pushinteger(L, first);
  return 1;
}

/* builder:characters(from, low, high, to) */
static int builder_characters(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t from = check_state(L, grammar, 2), to = check_state(L, grammar, 5);
  lua_Integer low = bind_check_integer(L, 3), high = bind_check_integer(L, 4);
  if (!(low >= 0 && low <= high && high <= 0x10ffff)) bind_argument_error(L, 3, "a range of characters expected");
  bool added = gpt_grammar_add_characters(grammar, from, (uint32_t)low, (uint32_t)high, to);
  return added ? 0 : raise_building(L);
}

/* builder:skip(from, to) */
static int builder_skip(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t from = check_state(L, grammar, 2), to = check_state(L, grammar, 3);
  return gpt_grammar_add_skip(grammar, from, to) ? 0 : raise_building(L);
}

/* builder:call(from, rule, to) */
static int builder_call(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t from = check_state(L, grammar, 2), rule = check_rule(L, grammar, 3), to = check_state(L, grammar, 4);
  return gpt_grammar_add_call(grammar, from, rule, to) ? 0 : raise_building(L);
}

static uint32_t check_times(lua_State *L, int index) {
  lua_Integer times = bind_check_integer(L, index);
  if (!(times >= 0 && times <= UINT32_MAX)) bind_argument_error(L, index, "a number of times expected");
  return (uint32_t)times;
}

/* builder:repetition(from, rule, least, most, to): most 0: any number of times */
static int builder_repetition(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t from = check_state(L, grammar, 2), rule = check_rule(L, grammar, 3), to = check_state(L, grammar, 6);
  uint32_t least = check_times(L, 4), most = check_times(L, 5);
  return gpt_grammar_add_repeat(grammar, from, rule, least, most, to) ? 0 : raise_building(L);
}

/* builder:text(from, bytes, to): an edge for each byte, one behind the other. */
static int builder_text(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  size_t n;
  const char *text = bind_check_bytes(L, 3, &n);
  int64_t from = check_state(L, grammar, 2), to = check_state(L, grammar, 4);
  bool added = n > 0 || gpt_grammar_add_skip(grammar, from, to);
  for (size_t i = 0; added && i < n; i++) {
    int64_t next = i + 1 == n ? to : gpt_grammar_add_state(grammar);
    int byte = (unsigned char)text[i];
    added = next >= 0 && gpt_grammar_add_bytes(grammar, from, byte, byte, next);
    from = next;
  }
  return added ? 0 : raise_building(L);
}

/* builder:finish(root): the grammar, which the builder has no more. */
static int builder_finish(lua_State *L) {
  GptGrammar *grammar = bind_check(L, 1, BUILDER);
  int64_t root = check_rule(L, grammar, 2);
  void **box = bind_push_box(L, GRAMMAR, 0);
  void **from = bind_check_userdata(L, 1, BUILDER);
  grammar = bind_check(L, 1, BUILDER);
  *box = grammar;
  *from = NULL;
  if (!gpt_grammar_finish(grammar, root)) return raise_building(L);
  bind_account(L, bind_env(L));
  return 1;
}

static int collect_grammar(lua_State *L) {
  gpt_grammar_free(bind_take(L, GRAMMAR));
  return 0;
}

static int collect_builder(lua_State *L) {
  gpt_grammar_free(bind_take(L, BUILDER));
  return 0;
}

static int grammar_to_string(lua_State *L) {
  const GptGrammar *grammar = bind_check(L, 1, GRAMMAR);
  lua_pushfstring(L, "Grammar(%I rules, %I states)", (lua_Integer)gpt_grammar_rules(grammar),
                  (lua_Integer)gpt_grammar_states(grammar));
  return 1;
}

/***
Whether a text is one that the grammar describes, whole.
@function Grammar:matches
@tparam string text
@treturn boolean
@treturn integer how many bytes of it are the beginning of such a text
@usage print(gpt.grammar { regex = "[0-9]+px" }:matches "12p")  --> false  3
*/
static int grammar_matches(lua_State *L) {
  size_t n, fits;
  bind_check(L, 1, GRAMMAR);
  const char *text = bind_check_bytes(L, 2, &n);
  int matches = gpt_grammar_matches(bind_env(L), bind_check(L, 1, GRAMMAR), text, n, &fits);
  if (matches < 0) return bind_raise(L, bind_env(L));
  lua_pushboolean(L, matches);
  lua_pushinteger(L, (lua_Integer)fits);
  return 2;
}

static int is_grammar(lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, GRAMMAR) != NULL);
  return 1;
}

/* Adds the texts of a tokenizer's ids, as they are behind other tokens; marks have none. */
static bool add_tokenizer(GptEnv *env, GptTokenTree *tree, const GptTokenizer *tokenizer) {
  int64_t count = (int64_t)gpt_tokenizer_size(tokenizer);
  char *place = NULL;
  for (int64_t id = 0; id < count; id++) {
    size_t n = 0;
    if (!gpt_tokenizer_is_mark(tokenizer, id) &&
        !gpt_tokenizer_decoded_size(env, tokenizer, &id, 1, true, &n))
      return false;
    if ((place = gpt_token_tree_place(tree, n)) == NULL) return false;
    if (n > 0) gpt_tokenizer_decode(tokenizer, &id, 1, true, place);
  }
  return true;
}

/* Adds the texts of a list at index, read raw. */
static bool add_texts(lua_State *L, GptTokenTree *tree, int index) {
  lua_Integer count = (lua_Integer)lua_rawlen(L, index);
  bool added = true;
  for (lua_Integer i = 1; added && i <= count; i++) {
    size_t n = 0;
    const char *bytes = lua_rawgeti(L, index, i) == LUA_TSTRING ? lua_tolstring(L, -1, &n) : "";
    char *place = gpt_token_tree_place(tree, n);
    added = place != NULL;
    if (added) memcpy(place, bytes, n);
    lua_pop(L, 1);
  }
  return added;
}

/* _token_tree(tokenizer, or list of the texts of the ids from 0 on) */
static int new_tree(lua_State *L) {
  GptEnv *env = bind_env(L);
  GptTokenizer *tokenizer = bind_test(L, 1, BIND_TOKENIZER);
  if (tokenizer == NULL) bind_check_type(L, 1, LUA_TTABLE);
  void **box = bind_push_box(L, TREE, 0);
  GptTokenTree *tree = *box = gpt_token_tree_new(env);
  if (tree == NULL) return bind_raise(L, env);
  tokenizer = bind_test(L, 1, BIND_TOKENIZER);
  bool added = tokenizer != NULL ? add_tokenizer(env, tree, tokenizer) : add_texts(L, tree, 1);
  if (!added || !gpt_token_tree_finish(tree)) return bind_raise(L, env);
  bind_account(L, env);
  return 1;
}

static int collect_tree(lua_State *L) {
  gpt_token_tree_free(bind_take(L, TREE));
  return 0;
}

/* _grammar_matcher(grammar, tree [, bytes]): bytes: how much it remembers */
static int new_matcher(lua_State *L) {
  GptEnv *env = bind_env(L);
  bind_check(L, 1, GRAMMAR);
  bind_check(L, 2, TREE);
  lua_Integer bytes = bind_opt_integer(L, 3, -1);
  void **box = bind_push_box(L, MATCHER, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, -2, 2);
  GptMatcher *matcher = *box = gpt_matcher_new(env, bind_check(L, 1, GRAMMAR), bind_check(L, 2, TREE));
  if (matcher == NULL) return bind_raise(L, env);
  if (bytes >= 0) gpt_matcher_keep(matcher, (size_t)bytes);
  bind_account(L, env);
  return 1;
}

/* _grammar_bytes(grammar): those that it holds */
static int grammar_bytes(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gpt_grammar_bytes(bind_check(L, 1, GRAMMAR)));
  return 1;
}

/* _matcher_bytes(matcher): those that it holds: none where it was freed, which a weak table may have for a while */
static int matcher_bytes(lua_State *L) {
  void **box = bind_check_userdata(L, 1, MATCHER);
  lua_pushinteger(L, *box != NULL ? (lua_Integer)gpt_matcher_bytes(*box) : 0);
  return 1;
}

static int collect_matcher(lua_State *L) {
  gpt_matcher_free(bind_take(L, MATCHER));
  return 0;
}

/* Reads an array of ids, raw, into memory that Lua owns, which is pushed. */
static int64_t *read_end_ids(lua_State *L, int index, size_t *count) {
  bind_check_type(L, index, LUA_TTABLE);
  *count = lua_rawlen(L, index);
  int64_t *ends = bind_scratch(L, (int64_t)*count, sizeof *ends);
  for (size_t i = 0; i < *count; i++) {
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    ends[i] = bind_check_integer(L, -1);
    lua_pop(L, 1);
  }
  return ends;
}

/* _grammar_cursor(matcher, ends): ends: the ids that may follow a whole text */
static int new_cursor(lua_State *L) {
  size_t count;
  bind_check(L, 1, MATCHER);
  const int64_t *ends = read_end_ids(L, 2, &count);
  void **box = bind_push_box(L, CURSOR, 1);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  *box = gpt_cursor_new(bind_check(L, 1, MATCHER), ends, count);
  return *box != NULL ? 1 : bind_raise(L, bind_env(L));
}

static int collect_cursor(lua_State *L) {
  gpt_cursor_free(bind_take(L, CURSOR));
  return 0;
}

GptCursor *bind_opt_cursor(lua_State *L, int index) {
  return lua_isnoneornil(L, index) ? NULL : bind_check(L, index, CURSOR);
}

/* cursor:take(id): whether it fits; the cursor then stands behind it */
static int cursor_take(lua_State *L) {
  int taken = gpt_cursor_take(bind_check(L, 1, CURSOR), bind_check_integer(L, 2));
  if (taken < 0) return bind_raise(L, bind_env(L));
  lua_pushboolean(L, taken);
  return 1;
}

/* cursor:forced(): the text that must follow, and whether it is the last there is */
static int cursor_forced(lua_State *L) {
  char text[GPT_MOST_FORCED];
  bool complete;
  int n = gpt_cursor_forced(bind_check(L, 1, CURSOR), text, &complete);
  if (n < 0) return bind_raise(L, bind_env(L));
  lua_pushlstring(L, text, (size_t)n);
  lua_pushboolean(L, complete);
  return 2;
}

/* cursor:only(): the one id that can follow, or nil */
static int cursor_only(lua_State *L) {
  int64_t id = gpt_cursor_only(bind_check(L, 1, CURSOR));
  if (id == -2) return bind_raise(L, bind_env(L));
  if (id < 0) lua_pushnil(L);
  else lua_pushinteger(L, id);
  return 1;
}

static int cursor_can_end(lua_State *L) {
  lua_pushboolean(L, gpt_cursor_can_end(bind_check(L, 1, CURSOR)));
  return 1;
}

static int cursor_complete(lua_State *L) {
  lua_pushboolean(L, gpt_cursor_complete(bind_check(L, 1, CURSOR)));
  return 1;
}

static const luaL_Reg builder_methods[] = {{"rule", builder_rule}, {"state", builder_state},
                                           {"states", builder_states}, {"at", builder_at},
                                           {"characters", builder_characters}, {"skip", builder_skip},
                                           {"call", builder_call}, {"repetition", builder_repetition},
                                           {"text", builder_text}, {"finish", builder_finish}, {NULL, NULL}};
static const luaL_Reg builder_meta[] = {{"__gc", collect_builder}, {NULL, NULL}};
static const luaL_Reg grammar_methods[] = {{"matches", grammar_matches}, {NULL, NULL}};
static const luaL_Reg grammar_meta[] = {{"__gc", collect_grammar}, {"__tostring", grammar_to_string}, {NULL, NULL}};
static const luaL_Reg tree_meta[] = {{"__gc", collect_tree}, {NULL, NULL}};
static const luaL_Reg matcher_meta[] = {{"__gc", collect_matcher}, {NULL, NULL}};
static const luaL_Reg cursor_methods[] = {{"take", cursor_take}, {"forced", cursor_forced}, {"only", cursor_only},
                                          {"can_end", cursor_can_end}, {"complete", cursor_complete}, {NULL, NULL}};
static const luaL_Reg cursor_meta[] = {{"__gc", collect_cursor}, {NULL, NULL}};
static const luaL_Reg functions[] = {{"_grammar_builder", new_builder}, {"_is_grammar", is_grammar},
                                     {"_token_tree", new_tree}, {"_grammar_matcher", new_matcher},
                                     {"_grammar_bytes", grammar_bytes},
                                     {"_matcher_bytes", matcher_bytes}, {"_grammar_cursor", new_cursor}, {NULL, NULL}};

void bind_open_grammar(lua_State *L) {
  bind_type(L, &(BindType){.name = BUILDER, .methods = builder_methods, .meta = builder_meta});
  bind_type(L, &(BindType){.name = GRAMMAR, .methods = grammar_methods, .meta = grammar_meta});
  bind_type(L, &(BindType){.name = TREE, .meta = tree_meta});
  bind_type(L, &(BindType){.name = MATCHER, .meta = matcher_meta});
  bind_type(L, &(BindType){.name = CURSOR, .methods = cursor_methods, .meta = cursor_meta});
  bind_functions(L, functions);
}
