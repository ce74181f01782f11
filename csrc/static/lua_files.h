/* The package's Lua files as bytes; the table is made by lua_files.lua when the library is built. */
#ifndef GPT_LUA_FILES_H
#define GPT_LUA_FILES_H

#include <stddef.h>

typedef struct GptLuaFile {
  const char *module; /* "gpt.support.json"; NULL behind the last */
  const char *chunk;  /* "@luagpt/gpt/support/json.lua" */
  const char *text;
  size_t length;
} GptLuaFile;

extern const GptLuaFile gpt_lua_files[];

#endif
