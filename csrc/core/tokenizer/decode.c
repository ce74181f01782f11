#include "core/tokenizer/decode.h"

#include <string.h>

#include "core/tokenizer/parts.h"

/* Where the text goes; without memory it is only measured. */
typedef struct Decoding {
  char *out;
  size_t length;
  size_t strip; /* blanks still to be left out */
} Decoding;

static void put_text(Decoding *d, const char *bytes, size_t n) {
  for (; d->strip > 0 && n > 0; bytes++, n--, d->strip--) {
    if (bytes[0] == ' ') continue;
    d->strip = 0;
    break;
  }
  if (d->out != NULL && n > 0) memcpy(d->out + d->length, bytes, n);
  d->length += n;
}

/* A token's bytes with what stands in them for something else. */
static void put_replaced(Decoding *d, const GptDecoder *decoder, const char *bytes, size_t n, bool left_out) {
  for (size_t at = 0; at < n;) {
    const char *found = memmem(bytes + at, n - at, decoder->from, decoder->from_length);
    size_t end = found != NULL ? (size_t)(found - bytes) : n;
    put_text(d, bytes + at, end - at);
    if (found != NULL && !left_out) put_text(d, decoder->to, decoder->to_length);
    at = end + (found != NULL ? decoder->from_length : 0);
  }
}

static int hex_value(char digit) { return digit <= '9' ? digit - '0' : digit - 'A' + 10; }

static void put_token(Decoding *d, const GptTokenizer *tokenizer, const GptToken *token, bool begins) {
  const GptDecoder *decoder = &tokenizer->decoder;
  const char *bytes = (const char *)tokenizer->vocabulary.bytes + token->start;
  bool as_it_is = decoder->from_length == 0 || (!decoder->added_too && (token->flags & GPT_TOKEN_ADDED) != 0);
  if (decoder->bytes && (token->flags & GPT_TOKEN_BYTE) != 0) {
    char byte = (char)(hex_value(bytes[3]) << 4 | hex_value(bytes[4]));
    put_text(d, &byte, 1);
  } else if (as_it_is) {
    put_text(d, bytes, token->length);
  } else {
    put_replaced(d, decoder, bytes, token->length, begins && decoder->strip_first);
  }
}

static size_t decode(const GptTokenizer *tokenizer, const int64_t *ids, size_t count, bool continued, char *out) {
  Decoding d = {.out = out, .strip = continued ? 0 : tokenizer->decoder.strip};
  for (size_t i = 0; i < count; i++) {
    const GptToken *token = gpt_vocabulary_token(&tokenizer->vocabulary, ids[i]);
    if (token != NULL) put_token(&d, tokenizer, token, i == 0 && !continued);
  }
  return d.length;
}

bool gpt_tokenizer_decoded_size(GptEnv *env, const GptTokenizer *tokenizer, const int64_t *ids, size_t count,
                                bool continued, size_t *bytes) {
  for (size_t i = 0; i < count; i++)
    if (ids[i] < 0)
      return gpt_fail(env, "decode: ids[%zu]: %lld is no token id: ids start at 0", i + 1, (long long)ids[i]);
  *bytes = decode(tokenizer, ids, count, continued, NULL);
  return true;
}

void gpt_tokenizer_decode(const GptTokenizer *tokenizer, const int64_t *ids, size_t count, bool continued, char *out) {
  decode(tokenizer, ids, count, continued, out);
}
