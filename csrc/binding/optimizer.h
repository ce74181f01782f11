/* Optimizers in Lua: what the files of gpt.optim share. */
#ifndef GPT_BINDING_OPTIMIZER_H
#define GPT_BINDING_OPTIMIZER_H

#include "binding/binding.h"
#include "core/train/optimizer.h"

#define BIND_OPTIMIZER "gpt.Optimizer"

/* The optimizer at an index, which is one and not freed. */
GptOptimizer *bind_optimizer(lua_State *L, int index);

/* The dtype of moments that is on top of the stack, which it pops: f32 for nil; `what` begins the message. */
GptMomentDtype bind_pop_moment_dtype(lua_State *L, const char *what);

/* optimizer:state() and optimizer:load_state(state, options) */
int bind_optimizer_state(lua_State *L);
int bind_optimizer_load_state(lua_State *L);

#endif
