/*
 * New files for the package's Lua side, which appear whole or not at all: one by one (file_writer.h), or several of a
 * directory together (file_set.h).
 */
#include "binding/new_files.h"

#include <errno.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/tensor.h"
#include "core/base/memory.h"
#include "core/io/directory.h"
#include "core/io/file_set.h"
#include "core/io/system.h"

#define FILE_WRITER "gpt.FileWriter"
#define FILE_FAULTS "gpt.FileFaults"

/* Returns the value itself, or raises. */
static int self_or_raise(lua_State *L, bool done) {
  if (!done) return bind_raise(L, bind_env(L));
  lua_settop(L, 1);
  return 1;
}

/* A number at index 2 becomes the string that is written: that allocates, so it comes before files are taken. */
static void prepare_value(lua_State *L) {
  if (lua_type(L, 2) != LUA_TUSERDATA) bind_check_string(L, 2);
}

/* Writes the string or tensor at index 2. */
static int write_value(lua_State *L, GptFileWriter *file) {
  size_t size;
  if (lua_type(L, 2) == LUA_TUSERDATA) return self_or_raise(L, gpt_file_writer_write_tensor(file, bind_tensor(L, 2)));
  const char *bytes = bind_check_bytes(L, 2, &size);
  return self_or_raise(L, gpt_file_writer_write(file, bytes, size));
}

/* _file_writer(path): a file that is being written; closing it without a commit removes it. */
static int new_writer(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = bind_path(L, 1);
  void **box = bind_push_box(L, FILE_WRITER, 0);
  *box = gpt_file_writer_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_writer(lua_State *L) {
  gpt_file_writer_free(bind_take(L, FILE_WRITER));
  return 0;
}

/* file:close(): also after a commit, and twice. */
static int writer_close(lua_State *L) {
  bind_check_userdata(L, 1, FILE_WRITER);
  return bind_free(L);
}

/* file:write(string or tensor) */
static int writer_write(lua_State *L) {
  prepare_value(L);
  return write_value(L, bind_check(L, 1, FILE_WRITER));
}

/* file:commit(): all bytes are brought to the disk, and the file takes its name. */
static int writer_commit(lua_State *L) {
  return self_or_raise(L, gpt_file_writer_commit(bind_check(L, 1, FILE_WRITER)));
}

/* _file_set(directory): files that are replaced together; closing it without a commit removes them. */
static int new_set(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *path = bind_path(L, 1);
  void **box = bind_push_box(L, BIND_FILE_SET, 0);
  *box = gpt_file_set_open(env, path);
  return *box != NULL ? 1 : bind_raise(L, env);
}

static int release_set(lua_State *L) {
  gpt_file_set_free(bind_take(L, BIND_FILE_SET));
  return 0;
}

static int set_close(lua_State *L) {
  bind_check_userdata(L, 1, BIND_FILE_SET);
  return bind_free(L);
}

/* set:add(name): begins a file; what is written goes to it until the next one begins. */
static int set_add(lua_State *L) {
  const char *name = bind_check_string(L, 2);
  return self_or_raise(L, gpt_file_set_add(bind_check(L, 1, BIND_FILE_SET), name) != NULL);
}

/* set:write(string or tensor) */
static int set_write(lua_State *L) {
  prepare_value(L);
  GptFileSet *set = bind_check(L, 1, BIND_FILE_SET);
  if (!(set->count > 0)) bind_argument_error(L, 1, "no file was begun");
  return write_value(L, set->files[set->count - 1]);
}

/* set:finish(): all bytes are on the disk, under temporary names. */
static int set_finish(lua_State *L) {
  return self_or_raise(L, gpt_file_set_finish(bind_check(L, 1, BIND_FILE_SET)));
}

/* set:commit(): all files take their names. */
static int set_commit(lua_State *L) {
  return self_or_raise(L, gpt_file_set_commit(bind_check(L, 1, BIND_FILE_SET)));
}

/* _check_writable(path): raises where a file of that name cannot be written because of what is there. */
static int check_writable(lua_State *L) {
  GptEnv *env = bind_env(L);
  return gpt_file_writer_check(env, bind_path(L, 1)) ? 0 : bind_raise(L, env);
}

/* _make_directory(path): true where it was made, false where it was there. */
static int make_directory(lua_State *L) {
  bool made;
  GptEnv *env = bind_env(L);
  if (!gpt_directory_make(env, bind_path(L, 1), false, &made)) return bind_raise(L, env);
  lua_pushboolean(L, made);
  return 1;
}

/* _remove_file(path): whether it is gone; never a directory. */
static int remove_file(lua_State *L) {
  lua_pushboolean(L, gpt_system_unlink(bind_env(L), bind_path(L, 1)));
  return 1;
}

/* Ends what specs asked for, and pushes the calls of that name, the log so far, and the name of the call that failed. */
static int end_faults(lua_State *L, GptEnv *env) {
  GptFileFaults *faults = env->file_faults;
  if (faults == NULL) return 0;
  env->file_faults = NULL;
  lua_pushinteger(L, faults->calls);
  lua_pushstring(L, faults->log.data != NULL ? faults->log.data : "");
  gpt_text_free(&faults->log);
  lua_pushstring(L, faults->hit);
  return 3;
}

static bool has_word(const char *words, const char *word) { return strstr(words, word) != NULL; }

/* errno, of those that specs ask for; -1: the end of the file. */
static int reason_in(const char *words) {
  static const struct {
    const char *name;
    int reason;
  } reasons[] = {{"ENOSPC", ENOSPC}, {"EINTR", EINTR}, {"EACCES", EACCES}, {"ENOMEM", ENOMEM}, {"end", -1}};
  for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
    if (has_word(words, reasons[i].name)) return reasons[i].reason;
  return 0;
}

/* _file_faults(at, call, how): for specs, see GptFileFaults; `how` has the words "stays", "kills", "halves", and a reason.
   _file_faults() ends it. Returns what end_faults says. */
static int file_faults(lua_State *L) {
  GptEnv *env = bind_env(L);
  const char *call = bind_opt_string(L, 2, ""), *how = bind_opt_string(L, 3, "");
  if (lua_isnoneornil(L, 1)) return end_faults(L, env);
  end_faults(L, env);
  GptFileFaults *faults = lua_newuserdatauv(L, sizeof *faults, 0);
  *faults = (GptFileFaults){.at = bind_check_integer(L, 1)};
  faults->stays = has_word(how, "stays");
  faults->kills = has_word(how, "kills");
  faults->halves = has_word(how, "halves");
  faults->reason = reason_in(how);
  strncpy(faults->call, call, sizeof faults->call - 1);
  gpt_text_init(&faults->log, env);
  lua_setfield(L, LUA_REGISTRYINDEX, FILE_FAULTS);
  env->file_faults = faults;
  return 0;
}

static const luaL_Reg functions[] = {{"_file_writer", new_writer},
                                     {"_file_set", new_set},
                                     {"_check_writable", check_writable},
                                     {"_make_directory", make_directory},
                                     {"_remove_file", remove_file},
                                     {"_file_faults", file_faults},
                                     {NULL, NULL}};

static const luaL_Reg writer_methods[] = {
    {"write", writer_write}, {"commit", writer_commit}, {"close", writer_close}, {NULL, NULL}};
static const luaL_Reg writer_meta[] = {{"__gc", release_writer}, {"__close", bind_free}, {NULL, NULL}};
static const BindType writer_type = {.name = FILE_WRITER, .methods = writer_methods, .meta = writer_meta};

static const luaL_Reg set_methods[] = {{"add", set_add},       {"write", set_write}, {"finish", set_finish},
                                       {"commit", set_commit}, {"close", set_close}, {NULL, NULL}};
static const luaL_Reg set_meta[] = {{"__gc", release_set}, {"__close", bind_free}, {NULL, NULL}};
static const BindType set_type = {.name = BIND_FILE_SET, .methods = set_methods, .meta = set_meta};

void bind_open_new_files(lua_State *L) {
  bind_functions(L, functions);
  bind_type(L, &writer_type);
  bind_type(L, &set_type);
}
