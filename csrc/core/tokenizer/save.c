/* Writing a tokenizer's files, as Hugging Face's tools read them. */
#include <string.h>

#include "core/base/memory.h"
#include "core/io/directory.h"
#include "core/io/files.h"
#include "core/io/json.h"
#include "core/io/paths.h"
#include "core/tokenizer/parts.h"

static const char byte_level[] = GPT_BYTE_LEVEL("false");

/* What is saved. */
typedef struct Source {
  const GptTokenizer *tokenizer;
  const GptTemplates *templates;
  const GptMerges *merges; /* its own, or those that its scores amount to */
} Source;

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

static void write_vocabulary_file(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  write_vocabulary(out, scratch, &tokenizer->vocabulary);
}

static void write_merges(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  (void)scratch;
  save_text(out, "#version: 0.2\n");
  for (size_t rank = 0; rank < tokenizer->merges.count; rank++) {
    const GptMerge *merge = &tokenizer->merges.list[rank];
    gpt_vocabulary_spell(&tokenizer->vocabulary, merge->left, out);
    save_text(out, " ");
    gpt_vocabulary_spell(&tokenizer->vocabulary, merge->right, out);
    save_text(out, "\n");
  }
}

static void write_merge_pairs(GptText *out, GptText *scratch, const GptTokenizer *tokenizer, const GptMerges *merges) {
  save_text(out, "[");
  for (size_t rank = 0; rank < merges->count; rank++) {
    const GptMerge *merge = &merges->list[rank];
    save_text(out, rank > 0 ? ",\n[" : "\n[");
    add_token(out, scratch, &tokenizer->vocabulary, merge->left);
    save_text(out, ", ");
    add_token(out, scratch, &tokenizer->vocabulary, merge->right);
    save_text(out, "]");
  }
  save_text(out, "]");
}

static const struct {
  const char *name;
  uint32_t flag;
} added_fields[] = {{"single_word", GPT_TOKEN_WORD}, {"lstrip", GPT_TOKEN_LSTRIP}, {"rstrip", GPT_TOKEN_RSTRIP},
                    {"normalized", GPT_TOKEN_NORMALIZED}, {"special", GPT_TOKEN_SPECIAL}};

/* What both tokenizer.json and tokenizer_config.json say of an added token. */
static void write_added_fields(GptText *out, const GptVocabulary *v, size_t id) {
  const GptToken *token = &v->tokens[id];
  save_text(out, "\"content\": ");
  gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
  for (size_t i = 0; i < sizeof added_fields / sizeof *added_fields; i++)
    gpt_text_add(out, ", \"%s\": %s", added_fields[i].name, (token->flags & added_fields[i].flag) != 0 ? "true" :
                 "false");
  save_text(out, "}");
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

/* A token as a string. */
static void add_content(GptText *out, const GptVocabulary *v, int64_t id) {
  const GptToken *token = gpt_vocabulary_token(v, id);
  gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
}

static void add_special_pieces(GptText *out, const GptTokenizer *tokenizer, const GptIds *ids, bool first) {
  for (size_t i = 0; i < ids->length; i++) {
    save_text(out, i > 0 || !first ? ", {\"SpecialToken\": {\"id\": " : "{\"SpecialToken\": {\"id\": ");
    add_content(out, &tokenizer->vocabulary, ids->data[i]);
    save_text(out, ", \"type_id\": 0}}");
  }
}

static void add_special_entries(GptText *out, const GptTokenizer *tokenizer, const GptIds *ids, bool first) {
  for (size_t i = 0; i < ids->length; i++) {
    if (i > 0 || !first) save_text(out, ", ");
    add_content(out, &tokenizer->vocabulary, ids->data[i]);
    save_text(out, ": {\"id\": ");
    add_content(out, &tokenizer->vocabulary, ids->data[i]);
    gpt_text_add(out, ", \"ids\": [%lld], \"tokens\": [", (long long)ids->data[i]);
    add_content(out, &tokenizer->vocabulary, ids->data[i]);
    save_text(out, "]}");
  }
}

/* A template that puts special tokens before and after the text. */
static void write_post_processor(GptText *out, const GptTokenizer *tokenizer) {
  static const char a[] = "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}";
  const GptIds *before = &tokenizer->before, *after = &tokenizer->after;
  if (before->length + after->length == 0) {
    save_text(out, tokenizer->characters ? "null" : byte_level);
    return;
  }
  save_text(out, "{\"type\": \"TemplateProcessing\",\n\"single\": [");
  add_special_pieces(out, tokenizer, before, true);
  gpt_text_add(out, "%s%s", before->length > 0 ? ", " : "", a);
  add_special_pieces(out, tokenizer, after, false);
  gpt_text_add(out, "],\n\"pair\": [%s, {\"Sequence\": {\"id\": \"B\", \"type_id\": 1}}],\n\"special_tokens\": {", a);
  add_special_entries(out, tokenizer, before, true);
  add_special_entries(out, tokenizer, after, before->length == 0);
  save_text(out, "}}");
}

/* What is done to a text: as the tokenizer's own file said it, or GPT-2's way. */
static void write_steps(GptText *out, const GptTokenizer *tokenizer) {
  const GptSettings *settings = &tokenizer->settings;
  if (settings->root.length == 0) {
    save_text(out, "\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n\"normalizer\": null,\n");
    gpt_text_add(out, "\"pre_tokenizer\": %s,\n\"decoder\": %s,\n", byte_level, byte_level);
  } else {
    if (settings->canonical) save_text(out, "\"version\": \"1.0\",\n\"truncation\": null,\n\"padding\": null,\n");
    gpt_text_add_bytes(out, settings->root.data, settings->root.length);
  }
  if (settings->has_processor) return;
  save_text(out, "\"post_processor\": ");
  write_post_processor(out, tokenizer);
  save_text(out, ",\n");
}

static void write_model_settings(GptText *out, const GptTokenizer *tokenizer) {
  const GptSettings *settings = &tokenizer->settings;
  if (settings->root.length == 0) {
    save_text(out, "\"type\": \"BPE\",\n\"dropout\": null,\n\"unk_token\": null,\n"
                   "\"continuing_subword_prefix\": \"\",\n\"end_of_word_suffix\": \"\",\n\"fuse_unk\": false,\n"
                   "\"byte_fallback\": false,\n\"ignore_merges\": false,\n");
    return;
  }
  gpt_text_add_bytes(out, settings->model.data, settings->model.length);
  if (!settings->canonical || !tokenizer->characters || gpt_vocabulary_token(&tokenizer->vocabulary,
                                                                             tokenizer->unknown) == NULL)
    return;
  save_text(out, "\"unk_token\": ");
  add_content(out, &tokenizer->vocabulary, tokenizer->unknown);
  save_text(out, ",\n");
}

static void write_tokenizer(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  save_text(out, "{\n");
  write_steps(out, tokenizer);
  save_text(out, "\"added_tokens\": [");
  write_added(out, &tokenizer->vocabulary, "[");
  save_text(out, "],\n\"model\": {");
  write_model_settings(out, tokenizer);
  save_text(out, "\"vocab\": ");
  write_vocabulary(out, scratch, &tokenizer->vocabulary);
  save_text(out, ",\n\"merges\": ");
  write_merge_pairs(out, scratch, tokenizer, source->merges);
  save_text(out, "}}\n");
}

/* One template as it is, several by their names; none is not mentioned. */
static void write_config_templates(GptText *out, const GptTemplates *templates) {
  const GptTemplate *list = templates->list;
  bool alone = templates->count == 1 && gpt_templates_find(templates, GPT_TEMPLATE_DEFAULT) != NULL;
  if (templates->count == 0) return;
  save_text(out, alone ? ",\n\"chat_template\": " : ",\n\"chat_template\": [");
  for (size_t i = 0; i < templates->count; i++) {
    if (!alone) save_text(out, i > 0 ? ",\n{\"name\": " : "{\"name\": ");
    if (!alone) gpt_json_add_string(out, list[i].name, strlen(list[i].name));
    if (!alone) save_text(out, ", \"template\": ");
    gpt_json_add_string(out, list[i].text, list[i].length);
    if (!alone) save_text(out, "}");
  }
  if (!alone) save_text(out, "]");
}

/* Nothing is one that says: no template. */
static void write_template_file(GptText *out, GptText *scratch, const Source *source) {
  (void)scratch;
  const GptTemplate *template = gpt_templates_find(source->templates, GPT_TEMPLATE_DEFAULT);
  if (template != NULL) gpt_text_add_bytes(out, template->text, template->length);
  else gpt_text_add_bytes(out, "", 0);
}

static bool puts_blank_before(const GptTokenizer *tokenizer) {
  return tokenizer->cuts.count > 0 && tokenizer->cuts.list[0].kind == GPT_CUT_PREFIX;
}

/* Roles without a token are written as null: left out, transformers would put <|endoftext|> there, and add it. */
static void write_config(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  (void)scratch;
  const GptVocabulary *v = &tokenizer->vocabulary;
  bool gpt2 = tokenizer->settings.root.length == 0; /* transformers makes the steps of this class itself */
  gpt_text_add(out, "{\n\"tokenizer_class\": \"%s\",\n", gpt2 ? "GPT2Tokenizer" : "PreTrainedTokenizerFast");
  if (!gpt2) save_text(out, "\"clean_up_tokenization_spaces\": false,\n");
  bool blank = puts_blank_before(tokenizer);
  if (gpt2 || blank) gpt_text_add(out, "\"add_prefix_space\": %s,\n", blank ? "true" : "false");
  for (int role = 0; role < GPT_ROLES; role++) {
    const GptToken *token = gpt_vocabulary_token(v, tokenizer->roles[role]);
    gpt_text_add(out, "\"%s\": ", gpt_role_names[role]);
    if (token != NULL) gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
    else save_text(out, "null");
    save_text(out, ",\n");
  }
  if (tokenizer->before.length > 0) save_text(out, "\"add_bos_token\": true,\n");
  if (tokenizer->after.length > 0) save_text(out, "\"add_eos_token\": true,\n");
  save_text(out, "\"added_tokens_decoder\": {");
  write_added(out, v, "{");
  save_text(out, "}");
  write_config_templates(out, source->templates);
  save_text(out, "\n}\n");
}

/* special_tokens_map.json and added_tokens.json of older tools say again what the other files say. */
static void write_special_map(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  (void)scratch;
  const char *separator = "{\n";
  for (int role = 0; role < GPT_ROLES; role++) {
    const GptToken *token = gpt_vocabulary_token(&tokenizer->vocabulary, tokenizer->roles[role]);
    if (token == NULL) continue;
    gpt_text_add(out, "%s\"%s\": ", separator, gpt_role_names[role]);
    gpt_json_add_string(out, (const char *)tokenizer->vocabulary.bytes + token->start, token->length);
    separator = ",\n";
  }
  save_text(out, separator[0] == '{' ? "{}\n" : "\n}\n");
}

static void write_added_map(GptText *out, GptText *scratch, const Source *source) {
  const GptTokenizer *tokenizer = source->tokenizer;
  (void)scratch;
  const GptVocabulary *v = &tokenizer->vocabulary;
  const char *separator = "{\n";
  for (size_t id = 0; id < v->size; id++) {
    const GptToken *token = &v->tokens[id];
    if ((token->flags & GPT_TOKEN_ADDED) == 0) continue;
    save_text(out, separator);
    gpt_json_add_string(out, (const char *)v->bytes + token->start, token->length);
    gpt_text_add(out, ": %zu", id);
    separator = ",\n";
  }
  save_text(out, separator[0] == '{' ? "{}\n" : "\n}\n");
}

static bool add_file(GptFileSet *set, const char *name, const GptText *text) {
  if (text->failed) return false;
  GptFileWriter *file = gpt_file_set_add(set, name);
  return file != NULL && gpt_file_writer_write(file, text->data, text->length);
}

static bool is_in_set_directory(GptFileSet *set, const char *name, bool *there) {
  char *path = gpt_path_join(set->env, set->path, name);
  bool good = path != NULL && gpt_file_exists(set->env, path, there);
  gpt_free(set->env, path);
  return good;
}

/* In the order in which they take their names: tokenizer.json is whole by itself, and is the one that is read. The last
   three are read besides the others, so that old ones would contradict new ones: they are written where they are
   there. */
static const struct {
  const char *name;
  void (*write)(GptText *out, GptText *scratch, const Source *source);
  enum { ALWAYS, OF_BYTES, WHERE_THERE } when;
} tokenizer_files[] = {
    {"tokenizer.json", write_tokenizer, ALWAYS}, {"vocab.json", write_vocabulary_file, OF_BYTES},
    {"merges.txt", write_merges, OF_BYTES}, {"tokenizer_config.json", write_config, ALWAYS},
    {"special_tokens_map.json", write_special_map, WHERE_THERE}, {"added_tokens.json", write_added_map, WHERE_THERE},
    {"chat_template.jinja", write_template_file, WHERE_THERE},
};

/* vocab.json and merges.txt say nothing of the steps: they are for byte-level tokenizers, whose readers know them.
   Where there are old ones, they go the way of the others. */
static bool is_wanted(GptFileSet *set, const GptTokenizer *tokenizer, size_t i, bool *wanted) {
  *wanted = tokenizer_files[i].when == ALWAYS || (tokenizer_files[i].when == OF_BYTES && !tokenizer->characters);
  return *wanted || is_in_set_directory(set, tokenizer_files[i].name, wanted);
}

static bool write_file(GptFileSet *set, const Source *source, size_t i, GptText *text, GptText *scratch) {
  bool wanted;
  if (!is_wanted(set, source->tokenizer, i, &wanted)) return false;
  if (!wanted) return true;
  text->length = 0;
  tokenizer_files[i].write(text, scratch, source);
  return !scratch->failed && add_file(set, tokenizer_files[i].name, text);
}

bool gpt_tokenizer_write(GptEnv *env, const GptTokenizer *tokenizer, const GptTemplates *templates,
                         GptFileSet *set) {
  GptMerges made = {0};
  const Source source = {tokenizer, templates, tokenizer->scores != NULL ? &made : &tokenizer->merges};
  GptText text, scratch;
  bool good = tokenizer->scores == NULL || gpt_merges_of_scores(env, tokenizer, &made);
  gpt_text_init(&text, env);
  gpt_text_init(&scratch, env);
  for (size_t i = 0; good && i < sizeof tokenizer_files / sizeof *tokenizer_files; i++)
    good = write_file(set, &source, i, &text, &scratch);
  gpt_merges_free(env, &made);
  gpt_text_free(&scratch);
  gpt_text_free(&text);
  return good;
}

bool gpt_tokenizer_save(GptEnv *env, const GptTokenizer *tokenizer, const char *dir) {
  bool made;
  if (!gpt_directory_make(env, dir, true, &made)) return false;
  GptFileSet *set = gpt_file_set_open(env, dir);
  bool done = set != NULL && gpt_tokenizer_write(env, tokenizer, &tokenizer->templates, set)
      && gpt_file_set_commit(set);
  gpt_file_set_free(set);
  return done;
}
