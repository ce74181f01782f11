/* gpt.world's values. */
#ifndef GPT_BINDING_WORLD_H
#define GPT_BINDING_WORLD_H

#include "binding/binding.h"
#include "core/train/world.h"

#define BIND_WORLD "gpt.World"

#endif
