/* The pass, as a layer written in Lua gets it. */
#ifndef GPT_BINDING_PASS_H
#define GPT_BINDING_PASS_H

#include "binding/binding.h"
#include "core/nn/pass.h"

#define BIND_PASS "gpt.Pass"

/* Pushes the userdata of a pass that runs: one for each pass. It refers to the pass only while that runs. */
void bind_push_pass(lua_State *L, const GptPass *pass);

#endif
