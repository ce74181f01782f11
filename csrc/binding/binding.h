/*
 * What every file of the binding shares. A binding function checks its arguments, makes one core call and
 * pushes the result.
 *
 * Rules. Any Lua call that may allocate can longjmp, so hold no memory of the core across one that nothing owns. A box
 * is made first and filled second; its finalizer takes an empty one.
 *
 * And it can run finalizers, as a table of options can run metamethods: both may free an argument. So options are read
 * and boxes made first, and arguments are checked early but taken (again) last, with nothing of Lua's between that and
 * the core's call, and not looked at after it. Where that cannot be, the function holds what it reads: a box of its own
 * (bind_hold_tensor), a list (tensor_list.h). Layers cannot be freed; their parts and parameters can be exchanged.
 */
#ifndef GPT_BINDING_H
#define GPT_BINDING_H

#include <lauxlib.h>
#include <lua.h>

#include "core/base/env.h"

/* A userdata type whose values each hold one pointer of the core (NULL: freed). */
typedef struct BindType {
  const char *name;          /* "gpt.Tensor", as error messages show it */
  const luaL_Reg *methods;   /* value:name(...) */
  const luaL_Reg *fields;    /* value.name: called with the value, returns the field; may be NULL */
  const luaL_Reg *meta;      /* __gc, __tostring, ... */
  lua_CFunction element;     /* value[i]: called with the value and the integer; may be NULL */
} BindType;

/*
 * Registry: a table with weak keys, at this address, of the values that were made in a finalizer (or while the host has
 * stopped the collector). Where the state is being closed Lua never finalizes such values, and the last finalizer of the
 * module's does.
 */
extern char bind_orphans;

#define BIND_TENSOR bind_tensor_type
extern const char bind_tensor_type[]; /* "gpt.Tensor" */
#define BIND_TOKENIZER "gpt.Tokenizer" /* the type that gpt.tokenizer returns */

/* What the environment's userdata holds. */
typedef struct BindEnv {
  GptEnv *env;      /* NULL: the state is being closed, and the module was */
  const void *home; /* the state's registry, which tells it from any other */
} BindEnv;

/* The environment of the running state: upvalue 1 of every function of the binding. */
GptEnv *bind_env(lua_State *L);

/* Registers functions with the environment as their upvalue into the table on top of the stack. */
void bind_functions(lua_State *L, const luaL_Reg *functions);

/* Creates the metatable of a type. Unknown names raise, and suggest the near one. */
void bind_type(lua_State *L, const BindType *type);

/* Registry: the table of a type's methods stands in its metatable under this name. */
#define BIND_METHODS "methods"

/* Pushes the table of a type's methods. */
void bind_push_methods(lua_State *L, const char *type);

/* Gives the userdata on top of the stack its type, for one that is no box. */
void bind_set_type(lua_State *L, const char *type);

/* Pushes an empty box of that type and returns where to put the pointer. A box has a seal that no other has: of another
 * userdata that has its type and its bytes, as a host may make one in another state, nothing is used, and nothing freed.
 * Tensors have none: they are many, and larger boxes made a small operation a quarter slower. */
void **bind_push_box(lua_State *L, const char *type, int user_values);

/* For finalizers: what the box argument at 1 holds, which it holds no longer; NULL: nothing. */
void *bind_take(lua_State *L, const char *type);

/* Where the box at index has its pointer; NULL where the value is of another type. */
void **bind_look(lua_State *L, int index, const char *type);

/* What free(), close() and __close do: as __gc, which the type has; but nothing in the middle of an operation of the
 * core's, which a finalizer may interrupt where memory is short: the collector frees it then. */
int bind_free(lua_State *L);

/* Pushes memory of `count` items of `size` bytes each that Lua owns, and returns it. The count may be anything that a
 * script says; an error where so much is not to be had. The other has `head` bytes before them. */
void *bind_scratch(lua_State *L, int64_t count, size_t size);
void *bind_scratch_behind(lua_State *L, size_t head, int64_t count, size_t size);

/* The pointer of a box argument; an argument error for anything else, and for a freed one. */
void *bind_check(lua_State *L, int index, const char *type);

/* The same, or NULL where the value is of another type (freed ones still raise). */
void *bind_test(lua_State *L, int index, const char *type);

/* What a value is, for messages: "number", and of the types of this module their names, "gpt.Tensor". */
const char *bind_typename(lua_State *L, int index);

/* luaL_tolstring, with a point in numbers whatever the locale: pushes the text. */
const char *bind_tostring(lua_State *L, int index);

/* What came, for messages: a number itself (NaN as "nan", whatever its sign), of all else the type. May push. */
const char *bind_shown(lua_State *L, int index);

#define BIND_ENV_KEY "gpt.env" /* registry: the environment's userdata */

/*
 * Calls Lua in the middle of a call of the core's, which no error may jump over. body is called, protected, with the
 * `values` on top of the stack, which are taken off, and the context behind them as a light userdata; it returns
 * `results` values (LUA_MULTRET: any number), which are left there. Everything that may raise belongs into it, and that
 * is all that allocates: pushing a userdata or a string, asking for a field. It is no function of the module's:
 * bind_env is not for it. False where it raised: the error is left in the environment, for bind_raise.
 */
bool bind_protect(lua_State *L, GptEnv *env, lua_CFunction body, int values, int results, void *context);

/* Calls the function at 1 with the arguments behind it while a flag of the environment has that value; then the flag is
   as it was, whatever happened. Returns how many results there are; an error is passed on as it is. It must not yield. */
int bind_call_with(lua_State *L, bool *flag, bool value);

/* Whether the error at index is an interrupt (Ctrl-C), also with the path of a layer before it. */
bool bind_is_interrupt(lua_State *L, int index);

/* The error on top of the stack is an interrupt with a path before it. */
void bind_note_interrupt(lua_State *L);

/* Pushes the error that the last failed bind_protect left, and forgets it. */
void bind_push_kept_error(lua_State *L);

/* A path argument: a string, neither empty nor cut short by a NUL in it. An error where files are forbidden: every name
 * of a file that Lua gives comes through here. */
const char *bind_path(lua_State *L, int index);

/* Are they, by gpt.forbid_files? */
bool bind_files_forbidden(lua_State *L);
void bind_forbid_files(lua_State *L);

/* Raises the core's error at the line of the user's code that called into the package. */
int bind_raise(lua_State *L, GptEnv *env);

/* Raises a message of the binding's own, in the same place. What is no text to show in it is escaped (printable.h). */
int bind_error(lua_State *L, const char *format, ...);

/* As Lua's luaL_argerror, luaL_typeerror, luaL_check... and luaL_opt... But where a Lua file of the package made the
 * call, the error is at the user's line; control characters are escaped, and numbers shown that are not whole. */
int bind_argument_error(lua_State *L, int index, const char *message);
int bind_type_error(lua_State *L, int index, const char *expected);
void bind_check_any(lua_State *L, int index);
void bind_check_type(lua_State *L, int index, int type);
void *bind_check_userdata(lua_State *L, int index, const char *type);
bool bind_is_whole(lua_State *L, int index); /* a number, 2 or 2.0, no text */
lua_Integer bind_check_integer(lua_State *L, int index);
lua_Number bind_check_number(lua_State *L, int index);
const char *bind_check_string(lua_State *L, int index);
const char *bind_check_bytes(lua_State *L, int index, size_t *length);
lua_Integer bind_opt_integer(lua_State *L, int index, lua_Integer otherwise);
lua_Number bind_opt_number(lua_State *L, int index, lua_Number otherwise);
const char *bind_opt_string(lua_State *L, int index, const char *otherwise);

/* A word of the user's as messages repeat it, escaped and not too long: pushes it. Of values that only their own metatable
 * makes a text of, it is the type. */
const char *bind_word(lua_State *L, int index);

/* Pushes a new weak table: mode "k" or "v". */
void bind_push_weak(lua_State *L, const char *mode);

/* Gives the table on top the metatable of printed tables: it stays a plain table, and prints as Lua
 * (lua/gpt/support/printed.lua). */
void bind_printed(lua_State *L);

/* Lets Lua collect where the core's memory has grown far enough since it last did. Call it with the new value on the
 * stack: finalizers may run. */
void bind_account(lua_State *L, GptEnv *env);

/* Checks that the table at index has no keys but those of names (NULL-terminated); `what` starts the message. */
void bind_check_options(lua_State *L, int index, const char *what, const char *const names[]);

/* Openers: each adds its functions to the module's table on top of the stack. */
void bind_open_protect(lua_State *L);
void bind_open_memory(lua_State *L);
void bind_open_text(lua_State *L);
void bind_open_layer(lua_State *L);
void bind_open_layer_fields(lua_State *L);
void bind_open_parameters(lua_State *L);
void bind_open_layer_methods(lua_State *L);
void bind_open_layer_host(lua_State *L);
void bind_open_pass(lua_State *L);
void bind_open_attention(lua_State *L);
void bind_open_config(lua_State *L);
void bind_open_rotary(lua_State *L);
void bind_open_nn(lua_State *L);
void bind_open_hooks(lua_State *L);
void bind_open_lora(lua_State *L);
void bind_open_model(lua_State *L);
void bind_open_session(lua_State *L);
void bind_open_infer(lua_State *L);
void bind_open_trace(lua_State *L);
void bind_open_parallel(lua_State *L);
void bind_open_random(lua_State *L);
void bind_open_json(lua_State *L);
void bind_open_dtypes(lua_State *L);
void bind_open_numbers(lua_State *L);
void bind_open_tensor(lua_State *L);
void bind_open_tensor_list(lua_State *L);
void bind_open_sample(lua_State *L);
void bind_open_grammar(lua_State *L);
void bind_open_files(lua_State *L);
void bind_open_new_files(lua_State *L);
void bind_open_gguf(lua_State *L);
void bind_open_tokenizer(lua_State *L);
void bind_open_tokens(lua_State *L);
void bind_open_terminal(lua_State *L);
void bind_open_signals(lua_State *L);
void bind_open_interrupt(lua_State *L);
void bind_open_optimizer(lua_State *L);
void bind_open_world(lua_State *L);
void bind_open_reducer(lua_State *L);

#endif
