#include <string.h>
#include <utf8proc.h>

#include "core/tokenizer/characters.h"
#include "core/tokenizer/scanner.h"

/* Code points whose class is not the same in Unicode 14 to 18; here it is that of Unicode 16.
   spec/fixtures/make_tokenizer.py prints these lines. */
static const struct {
  int32_t first, last;
  uint8_t class;
} corrections[] = {
  {0x558, 0x558, OTHER}, {0x58b, 0x58c, OTHER}, {0x88f, 0x88f, OTHER}, {0xc5c, 0xc5c, OTHER}, {0xcdc, 0xcdc, OTHER},
  {0x1c89, 0x1c8a, LETTER}, {0x208f, 0x208f, OTHER}, {0x209d, 0x209f, OTHER}, {0xa7cb, 0xa7cd, LETTER},
  {0xa7ce, 0xa7cf, OTHER}, {0xa7d2, 0xa7d2, OTHER}, {0xa7d4, 0xa7d4, OTHER}, {0xa7da, 0xa7dc, LETTER},
  {0xa7dd, 0xa7dd, OTHER}, {0xa7e2, 0xa7e2, OTHER}, {0xa7f1, 0xa7f1, OTHER}, {0xab6c, 0xab6d, OTHER},
  {0x105c0, 0x105f3, LETTER}, {0x107bb, 0x107bf, OTHER}, {0x10940, 0x10959, OTHER}, {0x10d40, 0x10d49, NUMBER},
  {0x10d4a, 0x10d65, LETTER}, {0x10d6f, 0x10d85, LETTER}, {0x10ec2, 0x10ec4, LETTER}, {0x10ec5, 0x10ec7, OTHER},
  {0x10ed9, 0x10eee, OTHER}, {0x1123f, 0x11240, LETTER}, {0x11380, 0x11389, LETTER}, {0x1138b, 0x1138b, LETTER},
  {0x1138e, 0x1138e, LETTER}, {0x11390, 0x113b5, LETTER}, {0x113b7, 0x113b7, LETTER}, {0x113d1, 0x113d1, LETTER},
  {0x113d3, 0x113d3, LETTER}, {0x116d0, 0x116e3, NUMBER}, {0x11b0a, 0x11b0a, OTHER}, {0x11bc0, 0x11be0, LETTER},
  {0x11bf0, 0x11bf9, NUMBER}, {0x11db0, 0x11ddb, OTHER}, {0x11de0, 0x11de9, OTHER}, {0x11df1, 0x11df1, OTHER},
  {0x11f02, 0x11f02, LETTER}, {0x11f04, 0x11f10, LETTER}, {0x11f12, 0x11f33, LETTER}, {0x11f50, 0x11f59, NUMBER},
  {0x1246f, 0x1246f, OTHER}, {0x12475, 0x1247f, OTHER}, {0x12550, 0x12686, OTHER}, {0x1342f, 0x1342f, LETTER},
  {0x13441, 0x13446, LETTER}, {0x13460, 0x143fa, LETTER}, {0x16100, 0x1611d, LETTER}, {0x16130, 0x16139, NUMBER},
  {0x16d40, 0x16d6c, LETTER}, {0x16d70, 0x16d79, NUMBER}, {0x16ea0, 0x16eb8, OTHER}, {0x16ebb, 0x16ed3, OTHER},
  {0x16ff2, 0x16ff6, OTHER}, {0x187f8, 0x187ff, OTHER}, {0x18cd6, 0x18cda, OTHER}, {0x18cff, 0x18cff, LETTER},
  {0x18d09, 0x18d20, OTHER}, {0x18d80, 0x18df2, OTHER}, {0x18e00, 0x19191, OTHER}, {0x191a0, 0x191d2, OTHER},
  {0x1b123, 0x1b128, OTHER}, {0x1b132, 0x1b132, LETTER}, {0x1b155, 0x1b155, LETTER}, {0x1b168, 0x1b168, OTHER},
  {0x1ccf0, 0x1ccf9, NUMBER}, {0x1d2c0, 0x1d2d3, NUMBER}, {0x1d6a6, 0x1d6a6, OTHER}, {0x1df1f, 0x1df24, OTHER},
  {0x1df25, 0x1df2a, LETTER}, {0x1df2b, 0x1df81, OTHER}, {0x1df90, 0x1df96, OTHER}, {0x1dfcd, 0x1dfff, OTHER},
  {0x1e030, 0x1e06d, LETTER}, {0x1e4d0, 0x1e4eb, LETTER}, {0x1e4f0, 0x1e4f9, NUMBER}, {0x1e5d0, 0x1e5ed, LETTER},
  {0x1e5f0, 0x1e5f0, LETTER}, {0x1e5f1, 0x1e5fa, NUMBER}, {0x1e6c0, 0x1e6de, OTHER}, {0x1e6e0, 0x1e6e2, OTHER},
  {0x1e6e4, 0x1e6e5, OTHER}, {0x1e6e7, 0x1e6ed, OTHER}, {0x1e6f0, 0x1e6f4, OTHER}, {0x1e6fe, 0x1e6ff, OTHER},
  {0x2b739, 0x2b739, LETTER}, {0x2b73a, 0x2b73f, OTHER}, {0x2b81e, 0x2b81e, OTHER}, {0x2cea2, 0x2cead, OTHER},
  {0x2ebf0, 0x2ee5d, LETTER}, {0x31350, 0x323af, LETTER},
};

static uint8_t find_class(int32_t code) {
  switch (utf8proc_category(code)) {
    case UTF8PROC_CATEGORY_LU: case UTF8PROC_CATEGORY_LL: case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM: case UTF8PROC_CATEGORY_LO: return LETTER;
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_NO: return NUMBER;
    case UTF8PROC_CATEGORY_ZS: case UTF8PROC_CATEGORY_ZL: case UTF8PROC_CATEGORY_ZP: return SPACE;
    default: return (code >= 9 && code <= 13) || code == 0x85 ? SPACE : OTHER;
  }
}

static void set_class(GptClasses *classes, int32_t code, unsigned class) {
  int shift = (code & 3) * 2;
  uint8_t *packed = &classes->packed[code >> 2];
  *packed = (uint8_t)((*packed & ~(3u << shift)) | class << shift);
}

void gpt_classes_init(GptClasses *classes) {
  memset(classes, 0, sizeof *classes);
  for (int32_t code = 0; code < GPT_CLASSES_END; code++) set_class(classes, code, find_class(code));
  for (size_t i = 0; i < sizeof corrections / sizeof *corrections; i++)
    for (int32_t code = corrections[i].first; code <= corrections[i].last; code++)
      set_class(classes, code, corrections[i].class);
}

bool gpt_is_word_character(const GptClasses *classes, uint32_t code) {
  if (gpt_class_of(classes, code) == LETTER || code == 0x200c || code == 0x200d) return true;
  switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_MN: case UTF8PROC_CATEGORY_MC: case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND: case UTF8PROC_CATEGORY_NL: case UTF8PROC_CATEGORY_PC: return true;
    default: return (code >= 0x24b6 && code <= 0x24e9) || (code >= 0x1f130 && code <= 0x1f149) ||
                    (code >= 0x1f150 && code <= 0x1f169) || (code >= 0x1f170 && code <= 0x1f189);
  }
}
