#include "core/train/token_file.h"

#include <string.h>

#include "core/base/array.h"
#include "core/base/memory.h"

GptTokens *gpt_tokens_new(GptEnv *env) {
  GptTokens *tokens = gpt_alloc_zeroed(env, sizeof *tokens);
  if (tokens == NULL) return NULL;
  tokens->env = env;
  tokens->width = 4;
  return tokens;
}

static inline int64_t id_at(const uint8_t *at, int width) {
  uint32_t low = (uint32_t)at[0] | (uint32_t)at[1] << 8;
  return width == 2 ? low : low | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* llm.c's files begin with a header of 256 numbers of 4 bytes: a mark, a version, how many tokens follow, zeros. */
#define HEADER_BYTES ((size_t)1024)
static const struct {
  int64_t mark, version;
  int width;
} headers[] = {{20240520, 1, 2}, {20240801, 7, 4}};

/* How many bytes of header the file has; where it has one, that decides the width. `begin` is its first HEADER_BYTES. */
static size_t read_header(GptTokens *tokens, const uint8_t *begin) {
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    if (id_at(begin, 4) != headers[i].mark || id_at(begin + 4, 4) != headers[i].version) continue;
    tokens->width = headers[i].width;
    return HEADER_BYTES;
  }
  return 0;
}

static bool read_file_part(const GptMappedFile *file, size_t offset, void *to, size_t count) {
  return gpt_mapped_file_read(file, offset, to, count) || gpt_fail_at(file->env, "%s", file->path);
}

/* Finds where the tokens begin and how many there are. */
static bool find_tokens(GptTokens *tokens, const GptMappedFile *file, size_t *header) {
  uint8_t begin[HEADER_BYTES] = {0};
  bool long_enough = file->size >= HEADER_BYTES;
  if (long_enough && !read_file_part(file, 0, begin, HEADER_BYTES)) return false;
  *header = long_enough ? read_header(tokens, begin) : 0;
  size_t bytes = file->size - *header, width = (size_t)tokens->width;
  if (*header > 0 && id_at(begin + 8, 4) * (int64_t)width != (int64_t)bytes)
    return gpt_fail(tokens->env, "%s: its header says %lld tokens of %zu bytes each, and %zu bytes follow",
                    file->path, (long long)id_at(begin + 8, 4), width, bytes);
  if (bytes % width != 0)
    return gpt_fail(tokens->env, "%s: %zu bytes are no whole number of u%zu tokens of %zu bytes each", file->path,
                    bytes, 8 * width, width);
  tokens->count = (int64_t)(bytes / width);
  return true;
}

static bool map_tokens(GptTokens *tokens, GptMappedFile *file, size_t header) {
  const char *data = gpt_mapped_file_data(file);
  if (data != NULL) tokens->data = (uint8_t *)data + header;
  return data != NULL;
}

static bool read_all_tokens(GptTokens *tokens, const GptMappedFile *file, size_t header) {
  tokens->data = gpt_alloc(tokens->env, file->size - header);
  return tokens->data != NULL && read_file_part(file, header, tokens->data, file->size - header);
}

GptTokens *gpt_tokens_open(GptEnv *env, const char *path, int width, bool map) {
  size_t header;
  GptTokens *tokens = gpt_tokens_new(env);
  if (tokens == NULL) return NULL;
  tokens->width = width;
  tokens->fixed = true;
  GptMappedFile *file = gpt_mapped_file_open(env, path);
  bool good = file != NULL && find_tokens(tokens, file, &header) &&
              (map ? map_tokens(tokens, file, header) : read_all_tokens(tokens, file, header));
  if (good && map) tokens->file = file;
  else gpt_mapped_file_close(file);
  if (good) return tokens;
  gpt_tokens_free(tokens);
  return NULL;
}

void gpt_tokens_free(GptTokens *tokens) {
  if (tokens == NULL) return;
  GptEnv *env = tokens->env;
  if (tokens->file == NULL) gpt_free(env, tokens->data);
  gpt_mapped_file_close(tokens->file);
  gpt_free(env, tokens);
}

bool gpt_tokens_pack(GptEnv *env, const int64_t *ids, int64_t n, int width, uint8_t *out) {
  int64_t last = width == 2 ? UINT16_MAX : UINT32_MAX;
  for (int64_t i = 0; i < n; i++) {
    if (ids[i] < 0 || ids[i] > last)
      return gpt_fail(env, "token id %lld at position %lld does not fit into u%d (0 to %lld)", (long long)ids[i],
                      (long long)i + 1, 8 * width, (long long)last);
    for (int b = 0; b < width; b++) *out++ = (uint8_t)(ids[i] >> 8 * b);
  }
  return true;
}

bool gpt_tokens_append(GptTokens *tokens, const int64_t *ids, int64_t n) {
  if (!gpt_grow(tokens->env, &tokens->data, &tokens->capacity, tokens->count, n, tokens->width)) return false;
  if (n > 0 && !gpt_tokens_pack(tokens->env, ids, n, tokens->width, tokens->data + tokens->count * tokens->width))
    return false;
  tokens->count += n;
  return true;
}

static void read_run(const GptTokens *tokens, int64_t first, int64_t n, int64_t *out) {
  const uint8_t *at = tokens->data + first * tokens->width;
  for (int64_t i = 0; i < n; i++, at += tokens->width) out[i] = id_at(at, tokens->width);
}

void gpt_tokens_windows(const GptTokens *tokens, const int64_t *starts, int64_t n, int64_t length, GptTensor *ids,
                        GptTensor *targets) {
  for (int64_t i = 0; i < n; i++) {
    read_run(tokens, starts[i], length, gpt_integers(ids) + i * length);
    read_run(tokens, starts[i] + 1, length, gpt_integers(targets) + i * length);
  }
}
