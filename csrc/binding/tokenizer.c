/* gpt.tokenizer and its values. */
#include "core/tokenizer/tokenizer.h"

#include <limits.h>
#include <string.h>

#include "binding/fields.h"
#include "binding/new_files.h"
#include "binding/tensor.h"
#include "core/tokenizer/normalize.h"
#include "core/tokenizer/train.h"

#define TYPE BIND_TOKENIZER
#define IDS "gpt.Ids" /* scratch, seen by no user */
#define TEMPLATES "gpt.Templates" /* scratch */
#define TRAINER "gpt.TokenizerTrainer" /* seen by lua/gpt/train_tokenizer.lua only */

/***
Text to token ids and back, by byte-pair encoding: of bytes, as GPT-2's, Llama 3's and Qwen's, or of characters with
byte fallback, as Llama 2's, Mistral's and Gemma's.
@classmod Tokenizer
*/

/***
Reads a tokenizer from a directory: `tokenizer.json` if there is one, otherwise `vocab.json` and `merges.txt`, or
`encoder.json` and `vocab.bpe`; special tokens also from `tokenizer_config.json`, `special_tokens_map.json` and
`added_tokens.json` (those that the vocabulary lacks get the next ids); further end tokens from `generation_config.json`
and `config.json`.
@function gpt.tokenizer
@tparam string dir
@treturn Tokenizer
@raise if a file is missing, truncated or inconsistent (the message names it), or if `tokenizer.json` asks for what is
not implemented (the message names that)
@usage
local tokenizer = gpt.tokenizer("gpt2")
tokenizer:encode("Hello, I am")  --> { 15496, 11, 314, 716 }
*/
static int load(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *dir = bind_path(L, 1);
  void **box = bind_push_box(L, TYPE, 0);
  *box = gpt_tokenizer_load(env, dir);
  if (*box == NULL) return bind_raise(L, env);
  bind_account(L, env);
  return 1;
}

/* _tokenizer_trainer(): takes texts, then makes a tokenizer of them. */
static int new_trainer(lua_State *L) {
  void **box = bind_push_box(L, TRAINER, 0);
  *box = gpt_trainer_new(bind_env(L));
  return *box != NULL ? 1 : bind_raise(L, bind_env(L));
}

/* trainer:add(text) */
static int add_text(lua_State *L) {
  size_t length;
  bind_check(L, 1, TRAINER);
  const char *text = bind_check_bytes(L, 2, &length);
  GptTrainer *trainer = bind_check(L, 1, TRAINER);
  return gpt_trainer_add(trainer, text, length) ? 0 : bind_raise(L, bind_env(L));
}

/* trainer:finish(vocab_size, min_frequency): a tokenizer. */
static int finish_training(lua_State *L) {
  GptTrainer *trainer = bind_check(L, 1, TRAINER);
  lua_Integer vocab_size = bind_check_integer(L, 2), min_frequency = bind_check_integer(L, 3);
  void **box = bind_push_box(L, TYPE, 0);
  trainer = bind_check(L, 1, TRAINER);
  *box = gpt_trainer_finish(trainer, vocab_size, min_frequency);
  if (*box == NULL) return bind_raise(L, bind_env(L));
  bind_account(L, bind_env(L));
  return 1;
}

static int collect_trainer(lua_State *L) {
  gpt_trainer_free(bind_take(L, TRAINER));
  return 0;
}

/* Pushes an empty list of ids that the collector owns. */
static GptIds *push_ids(lua_State *L, GptEnv *env) {
  GptIds *ids = lua_newuserdatauv(L, sizeof *ids, 0);
  gpt_ids_init(ids, env);
  bind_set_type(L, IDS);
  return ids;
}

static int free_ids(lua_State *L) {
  gpt_ids_free(bind_check_userdata(L, 1, IDS));
  return 0;
}

typedef struct EncodeOptions {
  GptMarks marks;
  bool bos, eos;
} EncodeOptions;

/* Leaves the list at top on the stack as places from 0, which the collector owns. */
static const int64_t *push_places(lua_State *L, size_t *count) {
  lua_Unsigned n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
  if (!lua_istable(L, -1))
    bind_error(L, "encode: literal_at: an array of positions expected, got %s", bind_shown(L, -1));
  int64_t *places = bind_scratch(L, (int64_t)n, sizeof *places);
  for (lua_Unsigned i = 0; i < n; i++) {
    lua_rawgeti(L, -2, (lua_Integer)i + 1);
    places[i] = lua_tointeger(L, -1) - 1;
    if (places[i] < 0 || (i > 0 && places[i] <= places[i - 1]))
      bind_error(L, "encode: literal_at: rising positions, from 1 on, expected, got %s at %zu", bind_shown(L, -1),
                 (size_t)i + 1);
    lua_pop(L, 1);
  }
  *count = (size_t)n;
  return places;
}

static EncodeOptions check_encode_options(lua_State *L, int index) {
  static const char *const names[] = {"special", "bos", "eos", "literal_at", NULL};
  EncodeOptions options = {.bos = false};
  if (lua_isnoneornil(L, index)) return options;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, "encode", names);
  options.marks.count = bind_opt_boolean_field(L, index, "encode", "special", false);
  options.bos = bind_opt_boolean_field(L, index, "encode", "bos", false);
  options.eos = bind_opt_boolean_field(L, index, "encode", "eos", false);
  if (lua_getfield(L, index, "literal_at") != LUA_TNIL)
    options.marks.literal = push_places(L, &options.marks.literal_count);
  return options;
}

/* Puts ids before the others, unless they begin with them. */
static bool put_before(GptIds *ids, const GptIds *first) {
  size_t bytes = first->length * sizeof *ids->data;
  if (first->length == 0 || (ids->length >= first->length && memcmp(ids->data, first->data, bytes) == 0)) return true;
  if (!gpt_ids_reserve(ids, first->length)) return false;
  memmove(ids->data + first->length, ids->data, ids->length * sizeof *ids->data);
  memcpy(ids->data, first->data, bytes);
  ids->length += first->length;
  return true;
}

static bool put_after(GptIds *ids, const GptIds *last) {
  if (!gpt_ids_reserve(ids, last->length)) return false;
  if (last->length > 0) memcpy(ids->data + ids->length, last->data, last->length * sizeof *ids->data);
  ids->length += last->length;
  return true;
}

static void push_id_list(lua_State *L, const GptIds *ids) {
  lua_createtable(L, (int)ids->length, 0);
  for (size_t i = 0; i < ids->length; i++) {
    lua_pushinteger(L, (lua_Integer)ids->data[i]);
    lua_rawseti(L, -2, (lua_Integer)i + 1);
  }
  bind_printed(L);
}

/***
The token ids of a text. Any string of bytes is allowed; `decode` returns the same bytes, unless the tokenizer
normalizes texts or lacks tokens for some bytes.
@function Tokenizer:encode
@tparam string text
@tparam[opt] table options `special`: true turns marks in the text, such as `<|endoftext|>`, into their ids; otherwise
they are plain text. Added tokens that the files do not call special always match. `bos`: true puts the BOS token before
the text, if the model's files say that a prompt begins with it; `eos`: true puts after it what they say a text ends
with. `literal_at`: positions in the text, in bytes from 1,
at which no mark begins even with `special`: for texts of which a part comes from a stranger
@treturn {integer,...} ids
@usage local ids = tokenizer:encode("Hello, world")
print(table.concat(ids, " "))
*/
static int encode(lua_State *L) {
  GptEnv *env = bind_env(L);
  bind_check(L, 1, TYPE);
  bind_check_type(L, 2, LUA_TSTRING);
  EncodeOptions options = check_encode_options(L, 3);
  size_t length;
  const char *text = lua_tolstring(L, 2, &length);
  GptIds *ids = push_ids(L, env);
  GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  if (!gpt_tokenizer_encode(env, tokenizer, text, length, options.marks, ids)) return bind_raise(L, env);
  if (options.bos && !put_before(ids, gpt_tokenizer_before(tokenizer))) return bind_raise(L, env);
  if (options.eos && !put_after(ids, gpt_tokenizer_after(tokenizer))) return bind_raise(L, env);
  if (ids->length > INT_MAX) return bind_error(L, "encode: %zu ids are too many for a table", ids->length);
  push_id_list(L, ids);
  gpt_ids_free(ids);
  return 1;
}

/* _tokenizer_cut(tokenizer, text, special): see gpt_tokenizer_cut. */
static int cut(lua_State *L) {
  size_t length;
  bind_check(L, 1, TYPE);
  const char *text = bind_check_bytes(L, 2, &length);
  const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  lua_pushinteger(L, (lua_Integer)gpt_tokenizer_cut(tokenizer, text, length, lua_toboolean(L, 3)));
  return 1;
}

/* Pushes the ids of an i64 tensor of one dimension as a list. */
static GptIds *read_tensor(lua_State *L, GptEnv *env, int index) {
  const GptTensor *tensor = bind_tensor(L, index);
  char shape[GPT_SHAPE_TEXT];
  if (tensor->storage->dtype != GPT_I64 || tensor->ndim != 1)
    bind_error(L, "decode: an i64 tensor of one dimension expected, got %s %s", gpt_dtype_name(tensor->storage->dtype),
               gpt_tensor_shape_text(tensor, shape));
  GptIds *ids = push_ids(L, env);
  tensor = bind_tensor(L, index);
  if (!gpt_ids_reserve(ids, (size_t)tensor->shape[0])) bind_raise(L, env);
  for (int64_t i = 0; i < tensor->shape[0]; i++) ids->data[i] = gpt_integers(tensor)[i * tensor->stride[0]];
  ids->length = (size_t)tensor->shape[0];
  return ids;
}

/* Pushes the ids of an array or a tensor as a list. */
static GptIds *check_id_list(lua_State *L, GptEnv *env, int index) {
  if (bind_test_tensor(L, index) != NULL) return read_tensor(L, env, index);
  if (!lua_istable(L, index)) bind_type_error(L, index, "array of token ids");
  size_t count = (size_t)lua_rawlen(L, index); /* raw, as all lists of ids: no metamethod runs */
  GptIds *ids = push_ids(L, env);
  if (!gpt_ids_reserve(ids, count)) bind_raise(L, env);
  for (size_t i = 0; i < count; i++) {
    int whole;
    lua_rawgeti(L, index, (lua_Integer)i + 1);
    ids->data[i] = lua_tointegerx(L, -1, &whole);
    if (lua_type(L, -1) == LUA_TSTRING)
      bind_error(L, "decode: ids[%zu]: a whole number expected, got the string \"%s\"; tonumber makes a number of it",
                 i + 1, lua_tostring(L, -1));
    if (!whole || lua_type(L, -1) != LUA_TNUMBER)
      bind_error(L, "decode: ids[%zu]: a whole number expected, got %s", i + 1, bind_shown(L, -1));
    lua_pop(L, 1);
  }
  ids->length = count;
  return ids;
}

static bool check_continued(lua_State *L, int index) {
  static const char *const names[] = {"continued", NULL};
  if (lua_isnoneornil(L, index)) return false;
  bind_check_type(L, index, LUA_TTABLE);
  bind_check_options(L, index, "decode", names);
  return bind_opt_boolean_field(L, index, "decode", "continued", false);
}

/***
The text of ids. If ids are cut off at a token, the text may end inside a UTF-8 character. An id without a token decodes
to nothing: a model's vocabulary may be padded beyond its tokenizer's.
@function Tokenizer:decode
@tparam {integer,...}|Tensor ids an array, or an i64 tensor of one dimension
@tparam[opt] table options `continued`: true for ids that follow others. Tokenizers of Llama's kind put a blank before a
text and leave it out again in decoding; it belongs to the text where the ids continue one
@treturn string
@raise if an id is negative or not a number
@usage print(tokenizer:decode(tokenizer:encode("Hello")))  --> Hello
*/
static int tokenizer_decode(lua_State *L) {
  GptEnv *env = bind_env(L);
  size_t length;
  bind_check(L, 1, TYPE);
  bool continued = check_continued(L, 3);
  GptIds *ids = check_id_list(L, env, 2);
  if (!gpt_tokenizer_decoded_size(env, bind_check(L, 1, TYPE), ids->data, ids->length, continued, &length))
    return bind_raise(L, env);
  luaL_Buffer buffer;
  char *text = luaL_buffinitsize(L, &buffer, length);
  gpt_tokenizer_decode(bind_check(L, 1, TYPE), ids->data, ids->length, continued, text);
  luaL_pushresultsize(&buffer, length);
  gpt_ids_free(ids);
  return 1;
}

/***
The bytes of one token.
@function Tokenizer:token
@tparam integer id
@treturn string
@usage print(tokenizer:token(0))  --> !
*/
static int token(lua_State *L) {
  GptEnv *env = bind_env(L);
  const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  size_t length;
  int64_t id = bind_check_integer(L, 2);
  if (gpt_tokenizer_token(env, tokenizer, id, &length) == NULL) return bind_raise(L, env);
  if (!gpt_tokenizer_decoded_size(env, tokenizer, &id, 1, true, &length)) return bind_raise(L, env);
  luaL_Buffer buffer;
  char *text = luaL_buffinitsize(L, &buffer, length);
  gpt_tokenizer_decode(bind_check(L, 1, TYPE), &id, 1, true, text);
  luaL_pushresultsize(&buffer, length);
  return 1;
}

/***
Writes `tokenizer.json`, `tokenizer_config.json` and, for a tokenizer of bytes, `vocab.json` and `merges.txt`, which
`gpt.tokenizer` and Hugging Face's tools read. The directory is made if absent. After an error or a kill it has the old
tokenizer or the new one (see `Model:save`). Existing special_tokens_map.json and added_tokens.json are written again,
too.
@function Tokenizer:save
@tparam string dir
@usage tokenizer:save("my-tokenizer")
*/
static int save(lua_State *L) {
  GptEnv *env = bind_env(L);
  const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  if (!gpt_tokenizer_save(env, tokenizer, bind_path(L, 2))) return bind_raise(L, env);
  return 0;
}

/* Pushes no templates, in memory that the collector owns. */
static GptTemplates *push_templates(lua_State *L) {
  GptTemplates *templates = lua_newuserdatauv(L, sizeof *templates, 0);
  *templates = (GptTemplates){0};
  bind_set_type(L, TEMPLATES);
  return templates;
}

static int free_templates(lua_State *L) {
  gpt_templates_free(bind_env(L), bind_check_userdata(L, 1, TEMPLATES));
  return 0;
}

/* Sets the default template to the value at index: a string, or nil for none. */
static void set_template(lua_State *L, GptTemplates *templates, int index) {
  size_t length = 0;
  const char *text = lua_isnil(L, index) ? "" : lua_tolstring(L, index, &length);
  if (!gpt_templates_set(bind_env(L), templates, GPT_TEMPLATE_DEFAULT, text, length)) bind_raise(L, bind_env(L));
}

/* Pushes the default template, or nil. */
static int push_template(lua_State *L, const GptTemplates *templates) {
  const GptTemplate *template = gpt_templates_find(templates, GPT_TEMPLATE_DEFAULT);
  if (template == NULL) lua_pushnil(L);
  else lua_pushlstring(L, template->text, template->length);
  return 1;
}

/* _write_tokenizer(set, tokenizer, template): adds its files to a set, with that default chat template (nil: its
   own). */
static int write_tokenizer_files(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_settop(L, 3);
  GptTemplates *templates = push_templates(L);
  GptTokenizer *tokenizer = bind_check(L, 2, TYPE);
  if (!gpt_templates_add(env, templates, gpt_tokenizer_templates(tokenizer))) return bind_raise(L, env);
  if (lua_isstring(L, 3)) set_template(L, templates, 3);
  GptFileSet *set = bind_check(L, 1, BIND_FILE_SET);
  return gpt_tokenizer_write(env, tokenizer, templates, set) ? 0 : bind_raise(L, env);
}

/* _chat_template(dir): the default one of a directory's files, or nil. */
static int read_chat_template(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *dir = bind_path(L, 1);
  GptTemplates *templates = push_templates(L);
  if (!gpt_templates_read(env, templates, dir)) return bind_raise(L, env);
  push_template(L, templates);
  gpt_templates_free(env, templates);
  return 1;
}

/* _tokenizer_roles(tokenizer): the texts of its special tokens, by what the files call their roles ("eos_token"). */
static int push_roles(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_newtable(L);
  for (int role = 0; role < GPT_ROLES; role++) {
    size_t length;
    const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
    int64_t id = gpt_tokenizer_role(tokenizer, (GptRole)role);
    const char *text = id >= 0 ? gpt_tokenizer_token(env, tokenizer, id, &length) : NULL;
    if (text == NULL) continue;
    lua_pushlstring(L, text, length);
    lua_setfield(L, -2, gpt_role_names[role]);
  }
  return 1;
}

/* _tokenizer_marks(tokenizer): the texts of all its marks. */
static int push_marks(lua_State *L) {
  GptEnv *env = bind_env(L);
  lua_Integer count = 0;
  lua_newtable(L);
  for (size_t id = 0; id < gpt_tokenizer_size(bind_check(L, 1, TYPE)); id++) {
    const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
    size_t length;
    if (!gpt_tokenizer_is_mark(tokenizer, (int64_t)id)) continue;
    const char *text = gpt_tokenizer_token(env, tokenizer, (int64_t)id, &length);
    lua_pushlstring(L, text, length);
    lua_rawseti(L, -2, ++count);
  }
  return 1;
}

/***
The highest token id plus 1.
@tfield integer Tokenizer.vocab_size
*/
static int vocab_size(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)gpt_tokenizer_size(bind_check(L, 1, TYPE)));
  return 1;
}

/* The first of the end tokens, or -1. */
static int64_t first_end(const GptTokenizer *tokenizer) {
  const GptIds *ends = gpt_tokenizer_ends(tokenizer);
  return ends->length > 0 ? ends->data[0] : -1;
}

/***
The id of the end of text, or nil.
@tfield integer|nil Tokenizer.eos
*/
static int eos(lua_State *L) {
  int64_t id = first_end(bind_check(L, 1, TYPE));
  if (id < 0) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/***
The id of the token that begins a text, or nil. A string prompt gets it only where the tokenizer's files ask for that.
@tfield integer|nil Tokenizer.bos
*/
static int bos(lua_State *L) {
  int64_t id = gpt_tokenizer_role(bind_check(L, 1, TYPE), GPT_ROLE_BOS);
  if (id < 0) lua_pushnil(L);
  else lua_pushinteger(L, (lua_Integer)id);
  return 1;
}

/***
All ids that end a text: `eos`, then the others that `generation_config.json` and `config.json` name, or a GGUF file:
its end of turn and of message, or else the control tokens that are called so, as by llama.cpp. Each of them ends
generation from a string prompt.
@tfield {integer,...} Tokenizer.end_tokens
*/
static int end_tokens(lua_State *L) {
  push_id_list(L, gpt_tokenizer_ends(bind_check(L, 1, TYPE)));
  return 1;
}

/***
The chat template (Jinja) that the files have, or nil. You may set it; it is saved with the tokenizer. Of several named
ones this is "default".
@tfield string|nil Tokenizer.chat_template
*/
static int chat_template(lua_State *L) {
  return push_template(L, gpt_tokenizer_templates(bind_check(L, 1, TYPE)));
}

/***
All chat templates that the files have, by their names.
@tfield table Tokenizer.chat_templates
*/
static int chat_templates(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0;; i++) {
    const GptTemplates *templates = gpt_tokenizer_templates(bind_check(L, 1, TYPE));
    if (i >= templates->count) break;
    lua_pushstring(L, templates->list[i].name);
    templates = gpt_tokenizer_templates(bind_check(L, 1, TYPE)); /* a finalizer may have changed them */
    if (i < templates->count) lua_pushlstring(L, templates->list[i].text, templates->list[i].length);
    else lua_pushnil(L);
    lua_rawset(L, -3);
  }
  return 1;
}

static int tokenizer_new_index(lua_State *L) {
  GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  if (lua_type(L, 2) != LUA_TSTRING || strcmp(lua_tostring(L, 2), "chat_template") != 0)
    return bind_error(L, "a gpt.Tokenizer has no field '%s' to set; chat_template is one", bind_word(L, 2));
  if (!lua_isnil(L, 3) && lua_type(L, 3) != LUA_TSTRING)
    return bind_error(L, "chat_template: a string or nil expected, got %s", bind_shown(L, 3));
  set_template(L, gpt_tokenizer_templates(tokenizer), 3);
  return 0;
}

static int to_string(lua_State *L) {
  const GptTokenizer *tokenizer = bind_check(L, 1, TYPE);
  int64_t id = first_end(tokenizer);
  lua_Integer size = (lua_Integer)gpt_tokenizer_size(tokenizer);
  if (id < 0) lua_pushfstring(L, "Tokenizer(%I tokens, no eos)", size);
  else lua_pushfstring(L, "Tokenizer(%I tokens, eos = %I)", size, (lua_Integer)id);
  return 1;
}

static int tokenizer_collect(lua_State *L) {
  gpt_tokenizer_free(bind_env(L), bind_take(L, TYPE));
  return 0;
}

static const luaL_Reg methods[] = {{"encode", encode}, {"decode", tokenizer_decode}, {"token", token}, {"save", save},
                                   {NULL, NULL}};
static const luaL_Reg fields[] = {{"vocab_size", vocab_size}, {"eos", eos}, {"bos", bos}, {"end_tokens", end_tokens},
                                  {"chat_template", chat_template}, {"chat_templates", chat_templates}, {NULL, NULL}};
static const luaL_Reg meta[] = {
    {"__gc", tokenizer_collect}, {"__close", bind_free}, {"__tostring", to_string},
    {"__newindex", tokenizer_new_index}, {NULL, NULL}};
static const luaL_Reg ids_meta[] = {{"__gc", free_ids}, {NULL, NULL}};
static const luaL_Reg templates_meta[] = {{"__gc", free_templates}, {NULL, NULL}};
static const luaL_Reg trainer_methods[] = {{"add", add_text}, {"finish", finish_training}, {NULL, NULL}};
static const luaL_Reg trainer_meta[] = {{"__gc", collect_trainer}, {"__close", bind_free}, {NULL, NULL}};
/* _character(code, title): the character in lower case, or as a word begins with it. */
static int character_case(lua_State *L) {
  lua_Integer code = bind_check_integer(L, 1);
  if (!(code >= 0 && code <= 0x10ffff)) bind_argument_error(L, 1, "a character's number expected");
  lua_pushinteger(L, lua_toboolean(L, 2) ? gpt_character_title((uint32_t)code) : gpt_character_lower((uint32_t)code));
  return 1;
}

/* _character_width(code): columns in a terminal */
static int character_width(lua_State *L) {
  lua_Integer code = bind_check_integer(L, 1);
  if (!(code >= 0 && code <= 0x10ffff)) bind_argument_error(L, 1, "a character's number expected");
  lua_pushinteger(L, gpt_character_width((uint32_t)code));
  return 1;
}

static const luaL_Reg functions[] = {{"tokenizer", load},
                                     {"_character_width", character_width},
                                     {"_character", character_case},
                                     {"_write_tokenizer", write_tokenizer_files},
                                     {"_chat_template", read_chat_template},
                                     {"_tokenizer_trainer", new_trainer},
                                     {"_tokenizer_cut", cut},
                                     {"_tokenizer_roles", push_roles},
                                     {"_tokenizer_marks", push_marks},
                                     {NULL, NULL}};
static const BindType type = {.name = TYPE, .methods = methods, .fields = fields, .meta = meta};
static const BindType trainer_type = {.name = TRAINER, .methods = trainer_methods, .meta = trainer_meta};

void bind_open_tokenizer(lua_State *L) {
  luaL_newmetatable(L, IDS);
  bind_functions(L, ids_meta);
  lua_pop(L, 1);
  luaL_newmetatable(L, TEMPLATES);
  bind_functions(L, templates_meta);
  lua_pop(L, 1);
  bind_type(L, &type);
  bind_type(L, &trainer_type);
  bind_functions(L, functions);
}
