/* The options of attention. */
#ifndef GPT_BINDING_ATTENTION_H
#define GPT_BINDING_ATTENTION_H

#include "binding/binding.h"
#include "core/ops/attention.h"

/* The options in the table at index (absent: none), without a seed for the dropout. what starts messages. */
GptAttentionRule bind_attention_rule(lua_State *L, int index, const char *what);

#endif
