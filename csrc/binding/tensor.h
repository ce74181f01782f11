/*
 * Tensors in Lua. A function that returns one makes the box first, takes its arguments second, and fills the box third:
 *
 *   GptTensor *x, **box = bind_result_of(L, &x);
 *   *box = gpt_exp(bind_env(L), x);
 *   return bind_tensor_done(L, box);
 */
#ifndef GPT_BINDING_TENSOR_H
#define GPT_BINDING_TENSOR_H

#include "binding/binding.h"
#include "core/ops/create.h"
#include "core/tensor/tensor.h"

/* The tensor at index, borrowed; an argument error for anything else. Or NULL where the value is no tensor. */
GptTensor *bind_tensor(lua_State *L, int index);
GptTensor *bind_test_tensor(lua_State *L, int index);

/* Pushes an empty box and returns where to put a new reference. */
GptTensor **bind_new_tensor(lua_State *L);

/* The same for what is computed from the tensor at index 1 (and the one at 2), which is checked, and taken when the box
 * is made: a finalizer may free it meanwhile, which is an error then. */
GptTensor **bind_result_of(lua_State *L, GptTensor **x);
GptTensor **bind_result_of_two(lua_State *L, GptTensor **x, GptTensor **y);

/* For functions that allocate while they read a tensor: pushes a box of the function's own for the one at index, which
 * nobody else can free, and returns it. bind_drop_tensor lets go of what the box at index holds, at once: else that
 * would wait for a collection. */
GptTensor *bind_hold_tensor(lua_State *L, int index);
void bind_drop_tensor(lua_State *L, int index);

/* After filling the box on top of the stack: raises the core's error where it is still NULL, else tells the collector.
 * Returns 1. */
int bind_tensor_done(lua_State *L, GptTensor **box);

/* Pushes a tensor with a reference of its own; nil for NULL. Something that no finalizer can take it from keeps it alive
 * meanwhile. */
void bind_share_tensor(lua_State *L, GptTensor *borrowed);

/* A dim argument, from 1 (-1: the last), as the core counts it: 0 .. ndim-1. optional: absent or nil returns otherwise.
 */
int bind_dim(lua_State *L, int index, int ndim);
int bind_opt_dim(lua_State *L, int index, int ndim, int otherwise);

/* A position argument, from 1 (-1: the last) to size, as the core counts it. */
int64_t bind_position(lua_State *L, int index, int64_t size);

/* The i of t[i] or t[i] = v, in the same way; its errors are not an argument's. */
int64_t bind_element(lua_State *L, const GptTensor *tensor, int64_t position);

/* bind_tensor_done for positions: those that the core counted from 0 become a copy counted from 1. */
int bind_positions_done(lua_State *L, GptTensor **box);

/* Sizes from numbers, or from one array, at first; returns the index of the argument behind them. Negative sizes are
 * the core's to judge. */
int bind_shape(lua_State *L, int first, int64_t *shape, int *ndim);

/* A shape as one argument: an array, or one size; returns how many dims. */
int bind_one_shape(lua_State *L, int index, int64_t *shape);

/* A dtype's name as argument; absent: f32. */
GptDtype bind_dtype(lua_State *L, int index);

/* Pushes what is to be said of a dtype that is not there, with the near one. */
const char *bind_no_dtype(lua_State *L, const char *name);

/* A number argument for either dtype. */
GptNumber bind_number(lua_State *L, int index);

/* Options of the functions that make tensors, {dtype, requires_grad}, at index (absent: as given). what starts
 * messages. */
typedef struct BindMaking {
  GptDtype dtype;
  bool dtype_given;
  bool requires_grad;
} BindMaking;
void bind_making_options(lua_State *L, int index, const char *what, BindMaking *options);

/* bind_tensor_done for a new tensor with options. */
int bind_made(lua_State *L, GptTensor **box, const char *what, const BindMaking *options);

/* The lists that the files of the tensor's binding add: methods, and module functions. */
extern const luaL_Reg bind_tensor_access[];    /* tensor_access.c: elements, numbers out and in, gradients */
extern const luaL_Reg bind_tensor_shape[];     /* tensor_shape.c: shapes and slices */
extern const luaL_Reg bind_tensor_math[];      /* tensor_math.c: arithmetic, comparison, functions of one tensor */
extern const luaL_Reg bind_tensor_reduce[];    /* tensor_reduce.c: reductions, running sums, softmax */
extern const luaL_Reg bind_tensor_operators[]; /* tensor_math.c: __add and the like */
extern const luaL_Reg bind_math_functions[];   /* tensor_math.c: gpt.cross_entropy and the like */
extern const luaL_Reg bind_making_functions[]; /* tensor_new.c: gpt.tensor, gpt.zeros, ... */
extern const luaL_Reg bind_shape_functions[];  /* tensor_shape.c: gpt.cat, gpt.stack */

extern const luaL_Reg bind_grad_functions[]; /* tensor_access.c: gpt.no_grad */

extern const luaL_Reg bind_tensor_index[]; /* tensor_index.c: picking, masking, order, matmul */

int bind_tensor_print(lua_State *L);   /* tensor_print.c: __tostring */
int bind_tensor_of(lua_State *L);      /* tensor_array.c: gpt.tensor */
int bind_tensor_totable(lua_State *L); /* tensor_array.c: t:totable() */

#endif
