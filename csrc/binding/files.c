/*
 * Files that the package's Lua side reads weights and texts from. Offsets are bytes from 0, as in file formats. Those
 * that it writes are in new_files.c.
 */
#include <string.h>

#include "binding/binding.h"
#include "binding/tensor.h"
#include "core/io/directory.h"
#include "core/io/files.h"
#include "core/io/mapped_file.h"
#include "core/io/paths.h"

#define MAPPED_FILE "gpt.MappedFile"
#define DIRECTORY "gpt.Directory"

/* _map_file(path): an open file, mapped where views of it are wanted. */
static int map_file(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = bind_path(L, 1);
  void **box = bind_push_box(L, MAPPED_FILE, 0);
  *box = gpt_mapped_file_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_mapped_file(lua_State *L) {
  gpt_mapped_file_close(bind_take(L, MAPPED_FILE));
  return 0;
}

/* file:close(): tensors that are views of it keep the mapping. */
static int close_mapped_file(lua_State *L) {
  bind_check_userdata(L, 1, MAPPED_FILE);
  return bind_free(L);
}

static int mapped_file_size(lua_State *L) {
  const GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_pushinteger(L, (lua_Integer)file->size);
  return 1;
}

static int raise_of_file(lua_State *L, const GptMappedFile *file) {
  gpt_fail_at(bind_env(L), "%s", file->path);
  return bind_raise(L, bind_env(L));
}

static bool is_inside(const GptMappedFile *file, lua_Integer offset, lua_Integer count) {
  lua_Integer size = (lua_Integer)file->size;
  return offset >= 0 && count >= 0 && offset <= size && count <= size - offset;
}

/* file:bytes(offset, count): a string; nil where the file has not that many there. */
static int mapped_file_bytes(lua_State *L) {
  luaL_Buffer buffer;
  const GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_Integer offset = bind_check_integer(L, 2), count = bind_check_integer(L, 3);
  if (!is_inside(file, offset, count)) return luaL_pushfail(L), 1;
  char *bytes = luaL_buffinitsize(L, &buffer, (size_t)count);
  file = bind_check(L, 1, MAPPED_FILE);
  if (!gpt_mapped_file_read(file, (size_t)offset, bytes, (size_t)count)) return raise_of_file(L, file);
  luaL_pushresultsize(&buffer, (size_t)count);
  return 1;
}

static GptFileType check_file_type(lua_State *L, int index) {
  GptFileType type = {0};
  const char *name = bind_check_string(L, index);
  bool known = gpt_file_type_safetensors(name, &type) || gpt_file_type_numpy(name, &type);
  if (!known) bind_argument_error(L, index, "a type of safetensors or of numpy files expected");
  return type;
}

static int check_file_shape(lua_State *L, int index, int64_t *shape) {
  bind_check_type(L, index, LUA_TTABLE);
  lua_Unsigned ndim = lua_rawlen(L, index);
  if (!(ndim <= GPT_MAX_DIMS)) bind_argument_error(L, index, "too many dimensions");
  for (int d = 0; d < (int)ndim; d++) {
    lua_rawgeti(L, index, d + 1);
    shape[d] = bind_check_integer(L, -1);
    lua_pop(L, 1);
  }
  return (int)ndim;
}

/* file:tensor(offset, dtype, shape, view): see gpt_mapped_file_tensor. */
static int mapped_file_tensor(lua_State *L) {
  GptEnv *env = bind_env(L);
  int64_t shape[GPT_MAX_DIMS];
  GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_Integer offset = bind_check_integer(L, 2);
  GptFileType type = check_file_type(L, 3);
  int ndim = check_file_shape(L, 4, shape);
  if (!(offset >= 0)) bind_argument_error(L, 2, "a byte's position expected");
  GptTensor **box = bind_new_tensor(L);
  file = bind_check(L, 1, MAPPED_FILE);
  *box = gpt_mapped_file_tensor(env, file, (size_t)offset, &type, ndim, shape, lua_toboolean(L, 5));
  return bind_tensor_done(L, box);
}

/* file:same(offset, other, its offset, count): whether both have the same bytes there. */
static int mapped_file_same(lua_State *L) {
  bool same = false;
  const GptMappedFile *files[2] = {bind_check(L, 1, MAPPED_FILE), bind_check(L, 3, MAPPED_FILE)};
  lua_Integer offsets[2] = {bind_check_integer(L, 2), bind_check_integer(L, 4)}, count = bind_check_integer(L, 5);
  if (is_inside(files[0], offsets[0], count) && is_inside(files[1], offsets[1], count) &&
      !gpt_mapped_file_same(files[0], (size_t)offsets[0], files[1], (size_t)offsets[1], (size_t)count,
                            &same))
    return raise_of_file(L, files[0]);
  lua_pushboolean(L, same);
  return 1;
}

/* file:is_zero(offset, count): whether all bytes there are 0. */
static int mapped_file_is_zero(lua_State *L) {
  bool zero = false;
  const GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_Integer offset = bind_check_integer(L, 2), count = bind_check_integer(L, 3);
  if (is_inside(file, offset, count) &&
      !gpt_mapped_file_zero(file, (size_t)offset, (size_t)count, &zero))
    return raise_of_file(L, file);
  lua_pushboolean(L, zero);
  return 1;
}

/* _directory(path): a directory to read files of one save from, see gpt_directory_read. Close it soon: a save waits. */
static int read_directory(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = bind_path(L, 1);
  void **box = bind_push_box(L, DIRECTORY, 0);
  *box = gpt_directory_read(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_directory(lua_State *L) {
  gpt_directory_close(bind_take(L, DIRECTORY));
  return 0;
}

/* directory:close(): also twice. */
static int directory_close(lua_State *L) {
  bind_check_userdata(L, 1, DIRECTORY);
  return bind_free(L);
}

/* directory:path(name): where to read that file; then whether there is anything. */
static int directory_path(lua_State *L) {
  GptEnv *env = bind_env(L);
  struct stat about;
  bool there;
  const char *name = bind_check_string(L, 2), *path = gpt_directory_path(bind_check(L, 1, DIRECTORY), name);
  if (path == NULL || !gpt_file_look(env, path, &about, &there)) return bind_raise(L, env);
  lua_pushstring(L, path);
  lua_pushboolean(L, there);
  return 2;
}

/* Whether anything lies at the path at 1; raises where that cannot be told. */
static bool look_at_path(lua_State *L, struct stat *about) {
  GptEnv *env = bind_env(L);
  bool there = false;
  if (!bind_files_forbidden(L) && !gpt_file_look(env, bind_path(L, 1), about, &there)) bind_raise(L, env);
  return there;
}

/* _file_kind(path): "a file", "a directory", "a FIFO", "a device", "a socket", or nil where there is nothing. */
static int file_kind(lua_State *L) {
  struct stat about;
  bool there = look_at_path(L, &about);
  const char *kind = there ? gpt_path_kind(about.st_mode) : NULL;
  if (there) lua_pushstring(L, kind != NULL ? kind : "a file");
  else lua_pushnil(L);
  return 1;
}

/* _file_exists(path): whether there is anything of that name. */
static int file_exists(lua_State *L) {
  struct stat about;
  lua_pushboolean(L, look_at_path(L, &about));
  return 1;
}

/***
From now on, no function of luagpt opens a file in this Lua state: loading and saving raise errors, and training shows no
progress on standard error. There is no way back.
For hosts that run scripts of strangers: load the model first, and give the script no other way to files (`io`, `os`,
`require`, `package`, `load` of binary chunks, `debug`).
@function forbid_files
@usage -- gpt.forbid_files()
*/
static int forbid_files(lua_State *L) {
  bind_forbid_files(L);
  return 0;
}

/* _files_forbidden() */
static int files_forbidden(lua_State *L) {
  lua_pushboolean(L, bind_files_forbidden(L));
  return 1;
}

static const luaL_Reg functions[] = {{"_map_file", map_file},
                                     {"_directory", read_directory},
                                     {"_file_exists", file_exists},
                                     {"_file_kind", file_kind},
                                     {"_files_forbidden", files_forbidden},
                                     {"forbid_files", forbid_files},
                                     {NULL, NULL}};

static const luaL_Reg mapped_methods[] = {{"bytes", mapped_file_bytes},
                                          {"tensor", mapped_file_tensor},
                                          {"same", mapped_file_same},
                                          {"is_zero", mapped_file_is_zero},
                                          {"close", close_mapped_file},
                                          {NULL, NULL}};
static const luaL_Reg mapped_fields[] = {{"size", mapped_file_size}, {NULL, NULL}};
static const luaL_Reg mapped_meta[] = {{"__gc", release_mapped_file},
                                       {"__close", bind_free},
                                       {NULL, NULL}};
static const BindType mapped_type = {
    .name = MAPPED_FILE, .methods = mapped_methods, .fields = mapped_fields, .meta = mapped_meta};

static const luaL_Reg directory_methods[] = {{"path", directory_path}, {"close", directory_close}, {NULL, NULL}};
static const luaL_Reg directory_meta[] = {{"__gc", release_directory}, {"__close", bind_free}, {NULL, NULL}};
static const BindType directory_type = {.name = DIRECTORY, .methods = directory_methods, .meta = directory_meta};

void bind_open_files(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &mapped_type);
  bind_type(L, &directory_type);
}
