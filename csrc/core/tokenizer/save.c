/* Writing a tokenizer's files, as Hugging Face's tools read them. */
#include <string.h>

#include "core/io/files.h"
#include "core/io/json.h"
#include "core/tokenizer/parts.h"

enum { TOKENIZER, VOCABULARY, MERGES, CONFIG, FILES };

static const char byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                                 "\"use_regex\": true}";

static void save_text(GptText *out, const char *text) { gpt_text_add_bytes(out, text, strlen(text)); }

/* Appends a token as a JSON string in the files' spelling. */
static void add_token(GptText *out, GptText *scratch, const GptVocabulary *v, int64_t id) {
  scratch->length = 0;
  gpt_vocabulary_spell(v, id, scratch);
  gpt_json_add_string(out, scratch->length > 0 ? scratch->data : "", scratch->length);
}

static void write_vocabulary(GptText *out, GptText *scratch, const GptVocabulary *v) {
  bool first = true;
  save_text(out, "{");
  for (size_t id = 0; id < v->size; id++) {
    if ((v->tokens[id].flags & GPT_TOKEN_MODEL) == 0) continue;
    if (!first) save_text(out, ", ");
    first = false;
    add_token(out, scratch, v, (int64_t)id);
    gpt_text_add(out, ": %zu", id);
  }
  save_text(out, "}");
}

static void write_merges(GptText *out, const GptTokenizer *tokenizer) {
  save_text(out, "#version: 0.2\n");
  for (size_t rank = 0; rank < tokenizer->merges.count; rank++) {
    const GptMerge *merge = &tokenizer->merges.list[rank];
    gpt_vocabulary_spell(&tokenizer->vocabulary, merge->left, out);
    save_text(out, " ");
    gpt_vocabulary_spell(&tokenizer->vocabulary, merge->right, out);
    save_text(out, "\n");
  }
}

static void write_merge_pairs(GptText *out, GptText *scratch, const GptTokenizer *tokenizer) {
  save_text(out, "[");
  for (size_t rank = 0; rank < tokenizer->merges.count; rank++) {
    const GptMerge *merge = &tokenizer->merges.list[rank];
    save_text(out, rank > 0 ? ",\n[" : "\n[");
    add_token(out, scratch, &tokenizer->vocabulary, merge->left);
    save_text(out, ", ");
    add_token(out, scratch, &tokenizer->vocabulary, merge->right);
    save_text(out, "]");
  }
  save_text(out, "]");
}

/* What both tokenizer.json and tokenizer_config.json say of an added token. */
static void write_added_fields(GptText *out, const GptVocabulary *v, size_t id) {
  const GptToken *token = &v->tokens[id];
  save_text(out, "\"content\": ");
  gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
  save_text(out,
            ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": ");
  save_text(out, (token->flags & GPT_TOKEN_SPECIAL) != 0 ? "true}" : "false}");
}

static void write_added(GptText *out, const GptVocabulary *v, const char *format) {
  bool first = true;
  for (size_t id = 0; id < v->size; id++) {
    if ((v->tokens[id].flags & GPT_TOKEN_ADDED) == 0) continue;
    if (!first) save_text(out, ",\n");
    first = false;
    if (format[0] == '[') gpt_text_add(out, "{\"id\": %zu, ", id);
    else gpt_text_add(out, "\"%zu\": {", id);
    write_added_fields(out, v, id);
  }
}

/* A template that puts one special token, `id` as JSON writes it, before the text. */
static void write_template(GptText *out, const char *id, int64_t first) {
  static const char a[] = "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}";
  gpt_text_add(out, "{\"type\": \"TemplateProcessing\",\n\"single\": [{\"SpecialToken\": {\"id\": %s, \"type_id\": 0}}, ", id);
  gpt_text_add(out, "%s],\n", a);
  gpt_text_add(out, "\"pair\": [%s, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n", a);
  gpt_text_add(out, "\"special_tokens\": {%s: {\"id\": %s, \"ids\": [%lld], \"tokens\": [%s]}}}", id, id,
               (long long)first, id);
}

static void write_post_processor(GptText *out, GptText *scratch, const GptTokenizer *tokenizer) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  const GptToken *token = gpt_vocabulary_token(v, tokenizer->first);
  if (token == NULL) {
    save_text(out, byte_level);
    return;
  }
  scratch->length = 0;
  gpt_json_add_string(scratch, (const char *)v->bytes + token->start, token->length);
  if (!scratch->failed) write_template(out, scratch->data, tokenizer->first);
}

static void write_tokenizer(GptText *out, GptText *scratch, const GptTokenizer *tokenizer) {
  save_text(out, "{\"version\": \"1.0\", \"truncation\": null, \"padding\": null,\n\"added_tokens\": [");
  write_added(out, &tokenizer->vocabulary, "[");
  gpt_text_add(out, "],\n\"normalizer\": null,\n\"pre_tokenizer\": %s,\n\"post_processor\": ", byte_level);
  write_post_processor(out, scratch, tokenizer);
  gpt_text_add(out, ",\n\"decoder\": %s,\n", byte_level);
  save_text(out, "\"model\": {\"type\": \"BPE\", \"dropout\": null, \"unk_token\": null,\n"
           "\"continuing_subword_prefix\": \"\", \"end_of_word_suffix\": \"\", \"fuse_unk\": false,\n"
           "\"byte_fallback\": false, \"ignore_merges\": false,\n\"vocab\": ");
  write_vocabulary(out, scratch, &tokenizer->vocabulary);
  save_text(out, ",\n\"merges\": ");
  write_merge_pairs(out, scratch, tokenizer);
  save_text(out, "}}\n");
}

/* Roles without a token are written as null: left out, transformers would put <|endoftext|> there, and add it. */
static void write_config(GptText *out, const GptTokenizer *tokenizer) {
  const GptVocabulary *v = &tokenizer->vocabulary;
  save_text(out, "{\n\"tokenizer_class\": \"GPT2Tokenizer\",\n\"add_prefix_space\": false,\n");
  for (int role = 0; role < GPT_ROLES; role++) {
    const GptToken *token = gpt_vocabulary_token(v, tokenizer->roles[role]);
    gpt_text_add(out, "\"%s\": ", gpt_role_names[role]);
    if (token != NULL) gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
    else save_text(out, "null");
    save_text(out, ",\n");
  }
  if (tokenizer->first >= 0) save_text(out, "\"add_bos_token\": true,\n");
  save_text(out, "\"added_tokens_decoder\": {");
  write_added(out, v, "{");
  save_text(out, "}\n}\n");
}

/* tokenizer.json comes first: it is whole by itself and is the one that is read, so that whoever looks between two
   renames finds either the old tokenizer or the new one. */
bool gpt_tokenizer_save(GptEnv *env, const GptTokenizer *tokenizer, const char *dir) {
  static const char *const names[FILES] = {"tokenizer.json", "vocab.json", "merges.txt", "tokenizer_config.json"};
  GptNewFile files[FILES];
  GptText scratch;
  gpt_text_init(&scratch, env);
  for (int i = 0; i < FILES; i++) {
    files[i].name = names[i];
    gpt_text_init(&files[i].text, env);
  }
  write_tokenizer(&files[TOKENIZER].text, &scratch, tokenizer);
  write_vocabulary(&files[VOCABULARY].text, &scratch, &tokenizer->vocabulary);
  write_merges(&files[MERGES].text, tokenizer);
  write_config(&files[CONFIG].text, tokenizer);
  bool good = !scratch.failed && gpt_files_replace(env, dir, files, FILES);
  gpt_text_free(&scratch);
  for (int i = 0; i < FILES; i++) gpt_text_free(&files[i].text);
  return good;
}
