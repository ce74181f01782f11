/*
 * JSON text to Lua values, by the letter of RFC 8259: what a file from outside says is believed only when it is well
 * formed. Values go straight onto the Lua stack, so nothing is held that an error could leak. Integers stay integers,
 * strings may hold NUL, a key that comes twice is refused. The way back is lua/gpt/json.lua.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <utf8proc.h>

#include "binding/binding.h"

#define MOST_DEPTH 100
#define LONGEST_NUMBER 100
#define EMPTY_ARRAY "gpt.json.array" /* the metatable of empty arrays, which tells them from empty objects */

typedef struct Reader {
  lua_State *L;
  const char *what; /* whose text it is, for messages */
  const char *text;
  const char *end;
  const char *at;
  int depth;
} Reader;

static void read_value(Reader *r);

static _Noreturn void refuse(const Reader *r, const char *at, const char *reason) {
  int line = 1;
  const char *start = r->text;
  for (const char *p = r->text; p < at; p++)
    if (*p == '\n') line++, start = p + 1;
  bind_error(r->L, "%s: not valid JSON at line %d, column %d: %s", r->what, line, (int)(at - start) + 1, reason);
  __builtin_unreachable();
}

static _Noreturn void refuse_here(const Reader *r, const char *expected) {
  char reason[100], got[16];
  unsigned char byte = r->at < r->end ? (unsigned char)*r->at : 0;
  bool visible = byte > ' ' && byte < 127;
  snprintf(got, sizeof got, visible ? "'%c'" : "byte 0x%02x", byte);
  snprintf(reason, sizeof reason, "%s expected, got %s", expected, r->at < r->end ? got : "the end");
  refuse(r, r->at, reason);
}

static void check_utf8(Reader *r) {
  const char *p = r->text;
  utf8proc_int32_t point;
  while (p < r->end) {
    utf8proc_ssize_t taken = 1;
    if ((unsigned char)*p >= 0x80) taken = utf8proc_iterate((const utf8proc_uint8_t *)p, r->end - p, &point);
    if (taken <= 0) refuse(r, p, "this byte is not UTF-8");
    p += taken;
  }
}

static void skip_space(Reader *r) {
  while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\t' || *r->at == '\r')) r->at++;
}

/* The next byte that is no white space; 0 at the end. */
static char next_byte(Reader *r) {
  skip_space(r);
  return r->at < r->end ? *r->at : '\0';
}

static void take(Reader *r, char byte, const char *expected) {
  if (next_byte(r) != byte || r->at == r->end) refuse_here(r, expected);
  r->at++;
}

static unsigned read_hex4(Reader *r) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++, r->at++) {
    char c = r->at < r->end ? *r->at : '\0';
    if (c >= '0' && c <= '9') value = value * 16 + (unsigned)(c - '0');
    else if ((c | 32) >= 'a' && (c | 32) <= 'f') value = value * 16 + (unsigned)((c | 32) - 'a') + 10;
    else refuse_here(r, "a hexadecimal digit");
  }
  return value;
}

/* The code point after \u, surrogates joined. */
static utf8proc_int32_t read_code_point(Reader *r) {
  const char *start = r->at - 2;
  unsigned high = read_hex4(r);
  if (high < 0xd800 || high > 0xdfff) return (utf8proc_int32_t)high;
  unsigned low = 0;
  if (r->end - r->at > 6 && r->at[0] == '\\' && r->at[1] == 'u') r->at += 2, low = read_hex4(r);
  if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) refuse(r, start, "half of a surrogate pair");
  return (utf8proc_int32_t)(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
}

static void add_escape(Reader *r, luaL_Buffer *buffer) {
  static const char names[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
  utf8proc_uint8_t encoded[4];
  char c = r->at < r->end ? *r->at : '\0';
  const char *found = c != '\0' ? strchr(names, c) : NULL;
  if (found == NULL && c != 'u') refuse_here(r, "one of \"\\/bfnrtu after a backslash");
  r->at++;
  if (found != NULL) luaL_addchar(buffer, bytes[found - names]);
  else luaL_addlstring(buffer, (char *)encoded, (size_t)utf8proc_encode_char(read_code_point(r), encoded));
}

/* The end of the run of plain characters from here on. */
static const char *plain_end(const Reader *r) {
  const char *p = r->at;
  while (p < r->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
  return p;
}

static void read_string(Reader *r) {
  luaL_Buffer buffer;
  const char *stop = (r->at++, plain_end(r));
  if (stop < r->end && *stop == '"') {
    lua_pushlstring(r->L, r->at, (size_t)(stop - r->at));
    r->at = stop + 1;
    return;
  }
  luaL_buffinit(r->L, &buffer);
  for (; stop < r->end && *stop == '\\'; stop = plain_end(r)) {
    luaL_addlstring(&buffer, r->at, (size_t)(stop - r->at));
    r->at = stop + 1;
    add_escape(r, &buffer);
  }
  luaL_addlstring(&buffer, r->at, (size_t)(stop - r->at));
  r->at = stop;
  if (r->at == r->end || *r->at != '"') refuse_here(r, "the string's closing quote");
  r->at++;
  luaL_pushresult(&buffer);
}

static const char *skip_digits(Reader *r) {
  const char *first = r->at;
  while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
  if (r->at == first) refuse_here(r, "a digit");
  return first;
}

static void read_number(Reader *r) {
  char copy[LONGEST_NUMBER + 1];
  const char *start = r->at;
  if (*r->at == '-') r->at++;
  const char *first = skip_digits(r);
  if (*first == '0' && r->at - first > 1) refuse(r, first, "a number does not begin with 0");
  if (r->at < r->end && *r->at == '.') r->at++, skip_digits(r);
  if (r->at < r->end && (*r->at | 32) == 'e') {
    r->at++;
    if (r->at < r->end && (*r->at == '+' || *r->at == '-')) r->at++;
    skip_digits(r);
  }
  size_t length = (size_t)(r->at - start);
  if (length > LONGEST_NUMBER) refuse(r, start, "a number too long");
  memcpy(copy, start, length);
  copy[length] = '\0';
  bool read = lua_stringtonumber(r->L, copy) != 0;
  if (!read || !isfinite(lua_tonumber(r->L, -1))) refuse(r, start, "a number out of range");
}

static void read_array(Reader *r) {
  lua_State *L = r->L;
  lua_newtable(L);
  r->at++;
  if (next_byte(r) == ']') {
    r->at++;
    luaL_setmetatable(L, EMPTY_ARRAY);
    return;
  }
  for (lua_Integer i = 1;; i++) {
    read_value(r);
    lua_rawseti(L, -2, i);
    if (next_byte(r) != ',') break;
    r->at++;
  }
  take(r, ']', "',' or ']'");
}

static void read_member(Reader *r) {
  lua_State *L = r->L;
  if (next_byte(r) != '"') refuse_here(r, "a key in quotes");
  const char *start = r->at;
  read_string(r);
  lua_pushvalue(L, -1);
  if (lua_rawget(L, -3) != LUA_TNIL)
    refuse(r, start, lua_pushfstring(L, "the key \"%s\" comes twice", lua_tostring(L, -2)));
  lua_pop(L, 1);
  take(r, ':', "':'");
  read_value(r);
  lua_rawset(L, -3);
}

static void read_object(Reader *r) {
  lua_newtable(r->L);
  r->at++;
  if (next_byte(r) == '}') {
    r->at++;
    return;
  }
  for (;;) {
    read_member(r);
    if (next_byte(r) != ',') break;
    r->at++;
  }
  take(r, '}', "',' or '}'");
}

static bool take_word(Reader *r, const char *word) {
  size_t length = strlen(word);
  if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) return false;
  r->at += length;
  return true;
}

static char null; /* its address stands for null */

static void read_value(Reader *r) {
  char c = next_byte(r);
  luaL_checkstack(r->L, 8, "JSON too deep");
  if (++r->depth > MOST_DEPTH) refuse(r, r->at, "nested too deeply");
  if (c == '{') read_object(r);
  else if (c == '[') read_array(r);
  else if (c == '"') read_string(r);
  else if (c == '-' || (c >= '0' && c <= '9')) read_number(r);
  else if (take_word(r, "true")) lua_pushboolean(r->L, 1);
  else if (take_word(r, "false")) lua_pushboolean(r->L, 0);
  else if (take_word(r, "null")) lua_pushlightuserdata(r->L, &null);
  else refuse_here(r, "a value");
  r->depth--;
}

/* _json_decode(text [, what]): the value; null comes as _json_null. `what` starts the messages. */
static int decode(lua_State *L) {
  size_t length;
  const char *text = luaL_checklstring(L, 1, &length);
  Reader reader = {.L = L, .what = luaL_optstring(L, 2, "the text"), .text = text, .end = text + length, .at = text};
  check_utf8(&reader);
  read_value(&reader);
  skip_space(&reader);
  if (reader.at < reader.end) refuse_here(&reader, "nothing more");
  return 1;
}

static const luaL_Reg functions[] = {{"_json_decode", decode}, {NULL, NULL}};

void bind_open_json(lua_State *L) {
  bind_functions(L, functions);
  lua_pushlightuserdata(L, &null);
  lua_setfield(L, -2, "_json_null");
  luaL_newmetatable(L, EMPTY_ARRAY);
  lua_setfield(L, -2, "_json_array");
}
