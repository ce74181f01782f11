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

/* How many bytes of header the file has; where it has one, that decides the width. */
static size_t read_header(GptTokens *tokens, const uint8_t *data, size_t size) {
  for (size_t i = 0; size >= HEADER_BYTES && i < sizeof headers / sizeof *headers; i++) {
    if (id_at(data, 4) != headers[i].mark || id_at(data + 4, 4) != headers[i].version) continue;
    tokens->width = headers[i].width;
    return HEADER_BYTES;
  }
  return 0;
}

static bool find_tokens(GptTokens *tokens, const char *path) {
  const GptMappedFile *file = tokens->file;
  uint8_t *data = (uint8_t *)file->data;
  size_t header = read_header(tokens, data, file->size), bytes = file->size - header, width = (size_t)tokens->width;
  if (header > 0 && id_at(data + 8, 4) * (int64_t)width != (int64_t)bytes)
    return gpt_fail(tokens->env, "%s: its header tells of %lld tokens of %zu bytes each, and %zu bytes follow", path,
                    (long long)id_at(data + 8, 4), width, bytes);
  if (bytes % width != 0)
    return gpt_fail(tokens->env, "%s: %zu bytes are no whole number of u%zu tokens of %zu bytes each", path, bytes,
                    8 * width, width);
  tokens->data = data == NULL ? NULL : data + header;
  tokens->count = (int64_t)(bytes / width);
  return true;
}

GptTokens *gpt_tokens_map(GptEnv *env, const char *path, int width) {
  GptTokens *tokens = gpt_tokens_new(env);
  if (tokens == NULL) return NULL;
  tokens->width = width;
  tokens->file = gpt_mapped_file_open(env, path);
  if (tokens->file != NULL && find_tokens(tokens, path)) return tokens;
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
