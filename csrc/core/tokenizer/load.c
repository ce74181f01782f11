/* Which files make a tokenizer, and in what order they are read. */
#include <string.h>
#include <sys/stat.h>

#include "core/io/files.h"
#include "core/io/json.h"
#include "core/base/memory.h"
#include "core/tokenizer/reading.h"

/* What a directory holds. */
typedef struct Found {
  bool tokenizer, vocabulary, merges;
} Found;

static bool look_for(GptEnv *env, const char *dir, const char *name, bool *found) {
  char *path = gpt_file_path(env, dir, name);
  if (path == NULL) return false;
  *found = gpt_file_exists(path);
  gpt_free(env, path);
  return true;
}

static bool look(GptEnv *env, const char *dir, Found *found) {
  return look_for(env, dir, "tokenizer.json", &found->tokenizer) &&
         look_for(env, dir, "vocab.json", &found->vocabulary) && look_for(env, dir, "merges.txt", &found->merges);
}

static bool fail_without_files(GptEnv *env, const char *dir, const Found *found) {
  struct stat about;
  if (stat(dir, &about) != 0) return gpt_fail(env, "%s: no such directory", dir);
  if (!S_ISDIR(about.st_mode)) return gpt_fail(env, "%s: not a directory", dir);
  if (found->vocabulary) return gpt_fail(env, "%s has vocab.json, but not the merges.txt that goes with it", dir);
  if (found->merges) return gpt_fail(env, "%s has merges.txt, but not the vocab.json that goes with it", dir);
  return gpt_fail(env, "%s has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt are there", dir);
}

static bool read_json(GptEnv *env, GptTokenizer *tokenizer, const char *path, GptJsonReader *read) {
  cJSON *json = gpt_json_read(env, path);
  if (json == NULL) return false;
  bool good = read(env, tokenizer, json);
  cJSON_Delete(json);
  return good || gpt_fail_at(env, "%s", path);
}

static bool read_merges(GptEnv *env, GptTokenizer *tokenizer, const char *path) {
  size_t size;
  char *text = gpt_file_read(env, path, &size);
  if (text == NULL) return false;
  bool good = gpt_read_merges(env, tokenizer, text, size);
  gpt_free(env, text);
  return good || gpt_fail_at(env, "%s", path);
}

/* Reads a file of the directory: JSON by `read`, or merges where that is NULL. */
static bool read_file(GptEnv *env, GptTokenizer *tokenizer, const char *dir, const char *name, GptJsonReader *read) {
  char *path = gpt_file_path(env, dir, name);
  if (path == NULL) return false;
  bool good = read != NULL ? read_json(env, tokenizer, path, read) : read_merges(env, tokenizer, path);
  gpt_free(env, path);
  return good;
}

static bool read_if_there(GptEnv *env, GptTokenizer *tokenizer, const char *dir, const char *name,
                          GptJsonReader *read) {
  bool found;
  if (!look_for(env, dir, name, &found)) return false;
  return !found || read_file(env, tokenizer, dir, name, read);
}

/* Roles that no file has spoken of: the end of text, which begins texts too and stands for what is unknown, is GPT-2's
   if the vocabulary has that; the others stay empty. */
static bool settle_roles(GptEnv *env, GptTokenizer *tokenizer) {
  static const char end[] = "<|endoftext|>";
  int64_t id = gpt_tokenizer_find(tokenizer, end, strlen(end));
  bool used = false;
  for (int role = 0; role < GPT_ROLES; role++) {
    if (tokenizer->roles[role] != GPT_ROLE_UNSAID) continue;
    bool shared = id >= 0 && (role == GPT_ROLE_EOS || role == GPT_ROLE_BOS || role == GPT_ROLE_UNK);
    tokenizer->roles[role] = shared ? id : -1;
    used = used || shared;
  }
  return !used || gpt_tokenizer_add_added(env, tokenizer, id, end, strlen(end), true);
}

static bool read_files(GptEnv *env, GptTokenizer *tokenizer, const char *dir) {
  Found found;
  if (!look(env, dir, &found)) return false;
  if (found.tokenizer) {
    if (!read_file(env, tokenizer, dir, "tokenizer.json", gpt_read_tokenizer_json)) return false;
  } else if (found.vocabulary && found.merges) {
    if (!read_file(env, tokenizer, dir, "vocab.json", gpt_read_vocabulary)) return false;
    if (!read_file(env, tokenizer, dir, "merges.txt", NULL)) return false;
  } else {
    return fail_without_files(env, dir, &found);
  }
  return read_if_there(env, tokenizer, dir, "added_tokens.json", gpt_read_added_tokens) &&
         read_if_there(env, tokenizer, dir, "tokenizer_config.json", gpt_read_special_tokens) &&
         read_if_there(env, tokenizer, dir, "special_tokens_map.json", gpt_read_special_tokens) &&
         settle_roles(env, tokenizer) && (gpt_tokenizer_finish(env, tokenizer) || gpt_fail_at(env, "%s", dir));
}

GptTokenizer *gpt_tokenizer_load(GptEnv *env, const char *dir) {
  GptTokenizer *tokenizer = gpt_tokenizer_new(env);
  if (tokenizer == NULL) return NULL;
  for (int role = 0; role < GPT_ROLES; role++) tokenizer->roles[role] = GPT_ROLE_UNSAID;
  if (read_files(env, tokenizer, dir)) return tokenizer;
  gpt_tokenizer_free(env, tokenizer);
  return NULL;
}
