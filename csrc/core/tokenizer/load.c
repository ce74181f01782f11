/* Which files make a tokenizer, and in what order they are read. */
#include <string.h>

#include "core/io/directory.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/base/memory.h"
#include "core/tokenizer/reading.h"

#define MOST_BYTES ((size_t)256 << 20) /* of merges.txt */
#define PAIRS 2

/* Files of a vocabulary and its merges: Hugging Face's names, and those of GPT-2's first release. */
static const char *const pair_names[PAIRS][2] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};

/* What a directory holds. */
typedef struct Found {
  bool tokenizer, pairs[PAIRS][2];
} Found;

static bool look_for(GptDirectory *dir, const char *name, bool *found) {
  const char *path = gpt_directory_path(dir, name);
  return path != NULL && gpt_file_exists(dir->env, path, found);
}

static bool look(GptDirectory *dir, Found *found) {
  bool good = look_for(dir, "tokenizer.json", &found->tokenizer);
  for (int i = 0; i < PAIRS && good; i++)
    for (int k = 0; k < 2 && good; k++) good = look_for(dir, pair_names[i][k], &found->pairs[i][k]);
  return good;
}

static bool fail_without_files(GptEnv *env, const char *dir, const Found *found) {
  struct stat about;
  bool there;
  if (!gpt_file_look(env, dir, &about, &there)) return false;
  if (!there) return gpt_fail(env, "%s: no such directory", dir);
  if (!S_ISDIR(about.st_mode)) return gpt_fail(env, "%s: not a directory", dir);
  for (int i = 0; i < PAIRS; i++)
    for (int k = 0; k < 2; k++)
      if (found->pairs[i][k])
        return gpt_fail(env, "%s has %s, but not the %s that goes with it", dir, pair_names[i][k], pair_names[i][1 -
                        k]);
  return gpt_fail(env, "%s has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt are there", dir);
}

static bool read_json(GptEnv *env, GptTokenizer *tokenizer, const char *path, GptJsonReader *read) {
  cJSON *json = gpt_json_read(env, path);
  if (json == NULL) return false;
  bool good = read(env, tokenizer, json);
  gpt_json_free(env, json);
  return good || gpt_fail_at(env, "%s", path);
}

static bool read_merges(GptEnv *env, GptTokenizer *tokenizer, const char *path) {
  size_t size;
  char *text = gpt_file_read(env, path, MOST_BYTES, &size);
  if (text == NULL) return false;
  bool good = gpt_read_merges(env, tokenizer, text, size);
  gpt_free(env, text);
  return good || gpt_fail_at(env, "%s", path);
}

/* Reads a file of the directory: JSON by `read`, or merges where that is NULL. */
static bool read_file(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, const char *name, GptJsonReader *read) {
  const char *path = gpt_directory_path(dir, name);
  if (path == NULL) return false;
  return read != NULL ? read_json(env, tokenizer, path, read) : read_merges(env, tokenizer, path);
}

static bool read_if_there(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, const char *name,
                          GptJsonReader *read) {
  bool found;
  if (!look_for(dir, name, &found)) return false;
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
  return !used || gpt_tokenizer_add_added(env, tokenizer, id, end, strlen(end), GPT_TOKEN_SPECIAL);
}

/* Reads a file that may be absent (then json stays NULL), and what it says of special tokens. */
static bool read_description(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, const char *name, cJSON **json) {
  bool found = false;
  if (!look_for(dir, name, &found)) return false;
  if (!found) return true;
  const char *path = gpt_directory_path(dir, name);
  *json = path != NULL ? gpt_json_read(env, path) : NULL;
  return *json != NULL && (gpt_read_special_tokens(env, tokenizer, *json) || gpt_fail_at(env, "%s", path));
}

/* Adds what both documents name. The map goes first, unless the config lists the added tokens itself, as newer tools
   write it: transformers does not look into the map then. */
static bool add_special_tokens(GptEnv *env, GptTokenizer *tokenizer, cJSON *config, cJSON *map) {
  bool listed = cJSON_GetObjectItemCaseSensitive(config, "added_tokens_decoder") != NULL;
  cJSON *documents[2] = {listed ? config : map, listed ? map : config};
  return gpt_add_special_tokens(env, tokenizer, documents, 2);
}

/* What a setting asks to put at an end of every text. */
static bool put_role(GptIds *list, int64_t id) {
  if (id < 0) return true;
  if (!gpt_ids_reserve(list, 1)) return false;
  list->data[list->length++] = id;
  return true;
}

/* GPT-2's way with a blank before every text, as tokenizer.json says it, so that it is saved as well. */
static bool read_prefixed_steps(GptEnv *env, GptTokenizer *tokenizer) {
  static const char steps[] =
      "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null, \"normalizer\": null, "
      "\"pre_tokenizer\": " GPT_BYTE_LEVEL("true") ", \"decoder\": " GPT_BYTE_LEVEL("true") ", "
      "\"model\": {\"type\": \"BPE\"}}";
  cJSON *json = gpt_json_parse(env, "add_prefix_space", steps, sizeof steps - 1);
  bool good = json != NULL && gpt_read_steps(env, tokenizer, json);
  gpt_json_free(env, json);
  return good;
}

/* What tokenizer_config.json says of texts of a tokenizer that no tokenizer.json describes. */
static bool read_text_settings(GptEnv *env, GptTokenizer *tokenizer, const cJSON *config) {
  bool bos = gpt_asks_for(config, "add_bos_token"), eos = gpt_asks_for(config, "add_eos_token");
  if (bos && !put_role(&tokenizer->before, tokenizer->roles[GPT_ROLE_BOS])) return false;
  if (eos && !put_role(&tokenizer->after, tokenizer->roles[GPT_ROLE_EOS])) return false;
  if (gpt_asks_for(config, "add_prefix_space")) return read_prefixed_steps(env, tokenizer);
  return gpt_tokenizer_cut_as_gpt2(env, tokenizer);
}

/* Special tokens and their roles. `described`: tokenizer.json itself says what is done to a text. */
static bool read_special_tokens(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, bool described) {
  cJSON *config = NULL, *map = NULL;
  bool good = read_description(env, tokenizer, dir, "tokenizer_config.json", &config) &&
              read_description(env, tokenizer, dir, "special_tokens_map.json", &map) &&
              (add_special_tokens(env, tokenizer, config, map) || gpt_fail_at(env, "%s", dir->path)) &&
              settle_roles(env, tokenizer);
  good = good && (gpt_templates_read_config(env, &tokenizer->templates, config) ||
                  gpt_fail_at(env, "%s/tokenizer_config.json", dir->path)) &&
         gpt_templates_read_file(env, &tokenizer->templates, dir);
  good = good && (described || read_text_settings(env, tokenizer, config));
  gpt_json_free(env, config);
  gpt_json_free(env, map);
  return good;
}

static bool read_pair(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, const char *const names[2]) {
  return read_file(env, tokenizer, dir, names[0], gpt_read_vocabulary) &&
         read_file(env, tokenizer, dir, names[1], NULL);
}

static bool read_tokens(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir, const Found *found) {
  if (found->tokenizer) return read_file(env, tokenizer, dir, "tokenizer.json", gpt_read_tokenizer_json);
  for (int i = 0; i < PAIRS; i++)
    if (found->pairs[i][0] && found->pairs[i][1]) return read_pair(env, tokenizer, dir, pair_names[i]);
  return fail_without_files(env, dir->path, found);
}

static bool read_files(GptEnv *env, GptTokenizer *tokenizer, GptDirectory *dir) {
  Found found = {0};
  return look(dir, &found) && read_tokens(env, tokenizer, dir, &found) &&
         read_if_there(env, tokenizer, dir, "added_tokens.json", gpt_read_added_tokens) &&
         read_special_tokens(env, tokenizer, dir, found.tokenizer) &&
         (gpt_tokenizer_finish(env, tokenizer) || gpt_fail_at(env, "%s", dir->path)) &&
         read_if_there(env, tokenizer, dir, "generation_config.json", gpt_read_end_tokens) &&
         read_if_there(env, tokenizer, dir, "config.json", gpt_read_end_tokens);
}

GptTokenizer *gpt_tokenizer_load(GptEnv *env, const char *dir) {
  GptTokenizer *tokenizer = gpt_tokenizer_new(env);
  if (tokenizer == NULL) return NULL;
  for (int role = 0; role < GPT_ROLES; role++) tokenizer->roles[role] = GPT_ROLE_UNSAID;
  GptDirectory *directory = gpt_directory_read(env, dir);
  bool good = directory != NULL && read_files(env, tokenizer, directory);
  gpt_directory_close(directory);
  if (good) return tokenizer;
  gpt_tokenizer_free(env, tokenizer);
  return NULL;
}
