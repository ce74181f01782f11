/*
 * Files for the package's Lua side: mapped ones to read weights from, and new ones that appear whole or not at all.
 * Offsets are bytes from 0, as in file formats.
 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "binding/binding.h"
#include "binding/tensor.h"
#include "core/io/mapped_file.h"
#include "core/io/file_writer.h"

#define MAPPED_FILE "gpt.MappedFile"
#define FILE_WRITER "gpt.FileWriter"

/* _map_file(path): a mapped file. */
static int map_file(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = luaL_checkstring(L, 1);
  void **box = bind_push_box(L, MAPPED_FILE, 0);
  *box = gpt_mapped_file_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_mapped_file(lua_State *L) {
  void **box = lua_touserdata(L, 1);
  gpt_mapped_file_close(*box);
  *box = NULL;
  return 0;
}

/* file:close(): tensors that are views of it keep the mapping. */
static int close_mapped_file(lua_State *L) {
  luaL_checkudata(L, 1, MAPPED_FILE);
  return release_mapped_file(L);
}

static int mapped_file_size(lua_State *L) {
  const GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_pushinteger(L, (lua_Integer)file->size);
  return 1;
}

/* file:bytes(offset, count): a string; nil where the file has not that many there. */
static int mapped_file_bytes(lua_State *L) {
  const GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_Integer offset = luaL_checkinteger(L, 2), count = luaL_checkinteger(L, 3);
  lua_Integer size = (lua_Integer)file->size;
  if (offset < 0 || count < 0 || offset > size || count > size - offset) luaL_pushfail(L);
  else lua_pushlstring(L, count > 0 ? file->data + offset : "", (size_t)count);
  return 1;
}

/* A dtype as safetensors files call it, "F32". */
static GptDtype check_file_dtype(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  GptDtype dtype = GPT_FILE_F64;
  if (strcmp(name, "F64") != 0 && !gpt_dtype_find_safetensors(name, &dtype))
    luaL_argerror(L, index, "F32, F16, BF16, F64 or I64 expected");
  return dtype;
}

static int check_file_shape(lua_State *L, int index, int64_t *shape) {
  luaL_checktype(L, index, LUA_TTABLE);
  lua_Unsigned ndim = lua_rawlen(L, index);
  luaL_argcheck(L, ndim <= GPT_MAX_DIMS, index, "too many dimensions");
  for (int d = 0; d < (int)ndim; d++) {
    lua_rawgeti(L, index, d + 1);
    shape[d] = luaL_checkinteger(L, -1);
    lua_pop(L, 1);
  }
  return (int)ndim;
}

/* file:tensor(offset, dtype, shape, view): see gpt_mapped_file_tensor. */
static int mapped_file_tensor(lua_State *L) {
  GptEnv *env = bind_env(L);
  int64_t shape[GPT_MAX_DIMS];
  GptMappedFile *file = bind_check(L, 1, MAPPED_FILE);
  lua_Integer offset = luaL_checkinteger(L, 2);
  GptDtype dtype = check_file_dtype(L, 3);
  int ndim = check_file_shape(L, 4, shape);
  luaL_argcheck(L, offset >= 0, 2, "a byte's position expected");
  GptTensor **box = bind_new_tensor(L);
  *box = gpt_mapped_file_tensor(env, file, (size_t)offset, dtype, ndim, shape, lua_toboolean(L, 5));
  return bind_tensor_done(L, box);
}

/* file:same(offset, other, its offset, count): whether both have the same bytes there. */
static int mapped_file_same(lua_State *L) {
  const GptMappedFile *files[2] = {bind_check(L, 1, MAPPED_FILE), bind_check(L, 3, MAPPED_FILE)};
  lua_Integer offsets[2] = {luaL_checkinteger(L, 2), luaL_checkinteger(L, 4)}, count = luaL_checkinteger(L, 5);
  bool inside = count >= 0;
  for (int i = 0; i < 2; i++) {
    lua_Integer size = (lua_Integer)files[i]->size;
    inside = inside && offsets[i] >= 0 && offsets[i] <= size && count <= size - offsets[i];
  }
  const char *a = files[0]->data, *b = files[1]->data;
  lua_pushboolean(L, inside && (count == 0 || memcmp(a + offsets[0], b + offsets[1], (size_t)count) == 0));
  return 1;
}

/* _file_writer(path): a file that is being written; closing it without a commit removes it. */
static int new_writer(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = luaL_checkstring(L, 1);
  void **box = bind_push_box(L, FILE_WRITER, 0);
  *box = gpt_file_writer_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_writer(lua_State *L) {
  void **box = lua_touserdata(L, 1);
  gpt_file_writer_free(*box);
  *box = NULL;
  return 0;
}

/* file:close(): also after a commit, and twice. */
static int writer_close(lua_State *L) {
  luaL_checkudata(L, 1, FILE_WRITER);
  return release_writer(L);
}

/* Returns the file itself, or raises. */
static int self_or_raise(lua_State *L, bool done) {
  if (!done) return bind_raise(L, bind_env(L));
  lua_settop(L, 1);
  return 1;
}

/* file:write(string or tensor) */
static int writer_write(lua_State *L) {
  GptFileWriter *file = bind_check(L, 1, FILE_WRITER);
  size_t size;
  if (lua_type(L, 2) == LUA_TUSERDATA) return self_or_raise(L, gpt_file_writer_write_tensor(file, bind_tensor(L, 2)));
  const char *bytes = luaL_checklstring(L, 2, &size);
  return self_or_raise(L, gpt_file_writer_write(file, bytes, size));
}

/* file:finish(): all bytes are on the disk. */
static int writer_finish(lua_State *L) {
  return self_or_raise(L, gpt_file_writer_finish(bind_check(L, 1, FILE_WRITER)));
}

/* file:commit(): a finished file takes its name. */
static int writer_commit(lua_State *L) {
  return self_or_raise(L, gpt_file_writer_commit(bind_check(L, 1, FILE_WRITER)));
}

/* _make_directory(path): true where it was made, false where it was there. */
static int make_directory(lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  struct stat about;
  bool made = mkdir(path, 0777) == 0;
  int reason = errno;
  if (!made && (reason != EEXIST || stat(path, &about) != 0 || !S_ISDIR(about.st_mode)))
    return bind_error(L, "%s: cannot be made a directory: %s", path, strerror(reason));
  lua_pushboolean(L, made);
  return 1;
}

/* _sweep(directory): removes what killed writers left there. */
static int sweep(lua_State *L) {
  gpt_file_writer_sweep(luaL_checkstring(L, 1));
  return 0;
}

/* _file_exists(path): whether there is anything of that name. */
static int file_exists(lua_State *L) {
  lua_pushboolean(L, access(luaL_checkstring(L, 1), F_OK) == 0);
  return 1;
}

static const luaL_Reg functions[] = {{"_map_file", map_file},
                                     {"_file_writer", new_writer},
                                     {"_make_directory", make_directory},
                                     {"_sweep", sweep},
                                     {"_file_exists", file_exists},
                                     {NULL, NULL}};

static const luaL_Reg mapped_methods[] = {{"bytes", mapped_file_bytes},
                                          {"tensor", mapped_file_tensor},
                                          {"same", mapped_file_same},
                                          {"close", close_mapped_file},
                                          {NULL, NULL}};
static const luaL_Reg mapped_fields[] = {{"size", mapped_file_size}, {NULL, NULL}};
static const luaL_Reg mapped_meta[] = {{"__gc", release_mapped_file},
                                       {"__close", release_mapped_file},
                                       {NULL, NULL}};
static const BindType mapped_type = {
    .name = MAPPED_FILE, .methods = mapped_methods, .fields = mapped_fields, .meta = mapped_meta};

static const luaL_Reg writer_methods[] = {{"write", writer_write},
                                       {"finish", writer_finish},
                                       {"commit", writer_commit},
                                       {"close", writer_close},
                                       {NULL, NULL}};
static const luaL_Reg writer_meta[] = {{"__gc", release_writer}, {"__close", release_writer}, {NULL, NULL}};
static const BindType writer_type = {.name = FILE_WRITER, .methods = writer_methods, .meta = writer_meta};

void bind_open_files(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &mapped_type);
  bind_type(L, &writer_type);
}
