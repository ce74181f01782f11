/* Several parts and parameters of layers changed together, or none. */
#ifndef GPT_BINDING_EXCHANGE_H
#define GPT_BINDING_EXCHANGE_H

#include "binding/layer.h"

/*
 * The table at index is a list of changes, { layer, name, value }: the layer's part of that name becomes the layer
 * `value`, or its parameter the tensor `value`, which fits. A part may be new. Raises where one of them cannot be made, and
 * then none is: all that may fail comes first.
 */
void bind_exchange(lua_State *L, int index);

#endif
