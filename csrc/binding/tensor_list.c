#include "binding/tensor_list.h"

#define TENSOR_LIST "gpt.TensorList"

BindTensorList *bind_push_tensor_list(lua_State *L, int64_t room) {
  BindTensorList *list = bind_scratch_behind(L, sizeof *list, room, sizeof *list->items);
  *list = (BindTensorList){.room = room};
  bind_set_type(L, TENSOR_LIST);
  return list;
}

void bind_tensor_list_add(lua_State *L, BindTensorList *list, GptTensor *tensor) {
  if (list->count == list->room) bind_error(L, "the list of tensors changed while it was read");
  list->items[list->count++] = gpt_tensor_retain(tensor);
}

void bind_tensor_list_drop(BindTensorList *list) {
  while (list->count > 0) gpt_tensor_release(list->items[--list->count]);
}

static int collect_tensor_list(lua_State *L) {
  bind_tensor_list_drop(bind_check_userdata(L, 1, TENSOR_LIST));
  return 0;
}

void bind_open_tensor_list(lua_State *L) {
  luaL_newmetatable(L, TENSOR_LIST);
  lua_pushcfunction(L, collect_tensor_list);
  lua_setfield(L, -2, "__gc");
  lua_pop(L, 1);
}
