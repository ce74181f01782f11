/* Lists of tensors that a call reads from Lua: what is in one lives until the call is over, whatever finalizers and
 * metamethods free meanwhile. */
#ifndef GPT_BINDING_TENSOR_LIST_H
#define GPT_BINDING_TENSOR_LIST_H

#include "binding/binding.h"
#include "core/tensor/tensor.h"

typedef struct BindTensorList {
  int64_t count, room;
  GptTensor *items[]; /* held */
} BindTensorList;

/* Pushes an empty list with room for that many, which Lua frees, whatever happens. */
BindTensorList *bind_push_tensor_list(lua_State *L, int64_t room);

/* Takes a reference of its own; raises where the list is full, because what it is read from changed meanwhile. */
void bind_tensor_list_add(lua_State *L, BindTensorList *list, GptTensor *tensor);

/* Lets go of all now, rather than when Lua collects the list. */
void bind_tensor_list_drop(BindTensorList *list);

#endif
