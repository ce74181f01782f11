#include "core/tokenizer/alphabet.h"

#include "core/base/utf8.h"

static bool stands_for_itself(int byte) {
  return byte > 32 && byte != 127 && (byte < 128 || byte > 160) && byte != 173;
}

void gpt_alphabet_init(GptAlphabet *alphabet) {
  uint16_t next = 256;
  for (int i = 0; i < GPT_ALPHABET_END; i++) alphabet->byte[i] = -1;
  for (int b = 0; b < 256; b++) {
    alphabet->code[b] = stands_for_itself(b) ? (uint16_t)b : next++;
    alphabet->byte[alphabet->code[b]] = (int16_t)b;
  }
}

bool gpt_alphabet_read(const GptAlphabet *alphabet, const char *text, size_t n, uint8_t *out, size_t *length) {
  uint32_t code;
  *length = 0;
  for (size_t at = 0, step; at < n; at += step) {
    step = gpt_utf8_decode((const uint8_t *)text + at, n - at, &code);
    if (step == 0 || code >= GPT_ALPHABET_END || alphabet->byte[code] < 0) return false;
    out[(*length)++] = (uint8_t)alphabet->byte[code];
  }
  return true;
}

void gpt_alphabet_write(const GptAlphabet *alphabet, const uint8_t *bytes, size_t n, GptText *out) {
  for (size_t i = 0; i < n; i++) {
    unsigned code = alphabet->code[bytes[i]];
    char c[2] = {(char)(code < 0x80 ? code : 0xc0 | code >> 6), (char)(0x80 | (code & 0x3f))};
    gpt_text_add_bytes(out, c, code < 0x80 ? 1 : 2);
  }
}
