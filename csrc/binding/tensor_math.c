/* Arithmetic, reductions and losses of tensors. */
#include "binding/tensor.h"

const luaL_Reg bind_tensor_math[] = {{NULL, NULL}};
const luaL_Reg bind_tensor_operators[] = {{NULL, NULL}};
const luaL_Reg bind_math_functions[] = {{NULL, NULL}};
