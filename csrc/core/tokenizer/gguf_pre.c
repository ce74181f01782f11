#include "core/tokenizer/gguf_pre.h"

#include <string.h>

#include "core/io/json.h"
#include "core/tokenizer/reading.h"

#define ENDINGS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define MODERN(numbers) \
  ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|" numbers "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" SPACES
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define UPPER "((?=[\\p{L}])([^a-z]))"
#define LOWER "((?=[\\p{L}])([^A-Z]))"
#define CASED(ending) \
  "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" ending
#define TITLES "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALLS "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED_BY_CATEGORY(ending) \
  "[^\\r\\n\\p{L}\\p{N}]?" TITLES "*" SMALLS "+" ending "|[^\\r\\n\\p{L}\\p{N}]?" TITLES "+" SMALLS "*" ending
#define FOLDED_ENDINGS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define SIGNS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"

/* Letters with case, and characters of Chinese, Japanese and Korean, as DeepSeek's patterns list them. */
#define CASED_LETTERS \
  "A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}\\x{295}-\\x{2af}" \
  "\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}" \
  "\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}" \
  "\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-" \
  "\\x{1d9a}\\x{1e00}-\\x{1f15}\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}" \
  "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}" \
  "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-" \
  "\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}\\x{2126}\\x{2128}\\x{212a}-" \
  "\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-" \
  "\\x{2c7b}\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}" \
  "-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}" \
  "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-\\x{104fb}\\x{10c80}-" \
  "\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}\\x{1e900}-\\x{1e943}"
#define CJK "[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{4e00}\\x{ac00}-\\x{d7ff}]+"

static const GptPre kinds[] = {
    {.names = " gpt-2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum modern-bert exaone4 mpt "
              "olmo jais trillion granite-docling jina-v1-en jina-v2-code roberta-bpe ", .byte_level = true},
    {.names = " llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ",
     .split = {MODERN("\\p{N}{1,3}")}, .ignore_merges = true, .adds_bos = true},
    {.names = " dbrx smaug-bpe chatglm-bpe ", .split = {MODERN("\\p{N}{1,3}")}},
    {.names = " glm4 glm5 ", .split = {MODERN("\\p{N}{1,3}")}, .ignore_merges = true},
    {.names = " qwen2 deepseek-r1-qwen kormo f2llmv2 stablelm2 megrez hunyuan solar-open grok-2 ",
     .split = {MODERN("\\p{N}")}},
    {.names = " qwen35 ",
     .split = {ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES}},
    {.names = " smollm starcoder refact command-r codeshell exaone minerva-7b mellum2 ", .digits = true,
        .byte_level = true},
    {.names = " deepseek-llm ",
     .split = {"[\r\n]", "\\s?[" CASED_LETTERS "]+", 
               "\\s?[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3000}-\\x{3002}]+",
               "\\s+$", CJK "|\\p{N}+"}},
    {.names = " deepseek-coder ", .split = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK, "\\p{N}"}},
    {.names = " deepseek-v3 hunyuan-dense joyai-llm hy_v4 ",
     .split = {"\\p{N}{1,3}", "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+",
         SIGNS "| ?[\\p{P}\\p{S}]+[\\r\\n]*|" SPACES}},
    {.names = " falcon ", .split = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {.names = " tekken ", .also = CASED_BY_CATEGORY("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
     .split = {CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}, .ignore_merges = true,
     .adds_bos = true},
    {.names = " gpt-4o llama4 kanana2 talkie minimax-m2 ",
     .also = CASED_BY_CATEGORY(FOLDED_ENDINGS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES,
     .split = {CASED(ENDINGS "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" SPACES}},
    {.names = " poro-chat bloom gpt3-finnish ",
     .split = {" ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"}},
    {.names = " viking ", .split = {" ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+",
        "\\p{N}"}},
    {.names = " seed-coder ",
     .split = {ENDINGS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES}},
    {.names = " default ", .split = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
};

#define KINDS (sizeof kinds / sizeof *kinds)

const GptPre *gpt_gguf_pre_find(const char *name, size_t n) {
  char word[66] = " ";
  if (n == 0 || n > sizeof word - 3 || memchr(name, ' ', n) != NULL || memchr(name, '\0', n) != NULL) return NULL;
  memcpy(word + 1, name, n);
  word[n + 1] = ' ';
  for (size_t i = 0; i < KINDS; i++)
    if (strstr(kinds[i].names, word) != NULL) return &kinds[i];
  return NULL;
}

void gpt_gguf_pre_name(const GptPre *pre, GptText *out) {
  gpt_text_add_bytes(out, pre->names + 1, strcspn(pre->names + 1, " "));
}

void gpt_gguf_pre_describe(const GptPre *pre, GptText *out) {
  gpt_text_add(out, "{\"type\": \"Sequence\", \"pretokenizers\": [");
  if (pre->digits) gpt_text_add(out, "{\"type\": \"Digits\", \"individual_digits\": true},\n");
  for (int i = 0; i < 5 && pre->split[i] != NULL; i++) {
    gpt_text_add(out, "{\"type\": \"Split\", \"pattern\": {\"Regex\": ");
    gpt_json_add_string(out, pre->split[i], strlen(pre->split[i]));
    gpt_text_add(out, "}, \"behavior\": \"Isolated\", \"invert\": false},\n");
  }
  gpt_text_add(out, "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, ");
  gpt_text_add(out, "\"use_regex\": %s}]}", pre->byte_level ? "true" : "false");
}

/* Whether a step cuts as the scanner does by these rules; the long s is left out of account: no GGUF file tells it
   apart. */
static bool scans_by(const GptCut *cut, const GptScanRules *rules) {
  GptContractions kind = cut->rules.contractions;
  if (kind == GPT_CONTRACTIONS_FOLDED) kind = GPT_CONTRACTIONS_ASCII;
  return cut->kind == GPT_CUT_SCAN && kind == rules->contractions && cut->rules.modern == rules->modern &&
         cut->rules.digits == rules->digits && cut->rules.digits_apart == rules->digits_apart;
}

/* Whether a step isolates what a pattern matches. */
static bool cuts_by(const GptCut *cut, const char *pattern) {
  const GptScanRules *rules = gpt_known_pattern(pattern);
  if (rules != NULL) return scans_by(cut, rules);
  return cut->kind == GPT_CUT_REGEX && cut->behavior == GPT_CUT_ISOLATED && !cut->invert &&
         !gpt_regex_is_literal(cut->regex) && strcmp(gpt_regex_pattern(cut->regex), pattern) == 0;
}

/* Whether these are the steps of a kind; or of the pattern alone that tokenizer.json has for it. */
static bool is_kind(const GptPre *pre, const GptCuts *cuts) {
  const GptScanRules last = {.digits = pre->digits ? 1 : 0, .digits_apart = pre->digits};
  size_t count = 0;
  if (pre->also != NULL && cuts->count == 1 && cuts_by(&cuts->list[0], pre->also)) return true;
  for (int i = 0; i < 5 && pre->split[i] != NULL; i++, count++)
    if (count >= cuts->count || !cuts_by(&cuts->list[count], pre->split[i])) return false;
  if (!pre->byte_level) return count == cuts->count;
  return count + 1 == cuts->count && scans_by(&cuts->list[count], &last);
}

const GptPre *gpt_gguf_pre_of(const GptCuts *cuts, bool ignore_merges) {
  for (size_t i = 0; i < KINDS; i++)
    if (kinds[i].ignore_merges == ignore_merges && is_kind(&kinds[i], cuts)) return &kinds[i];
  return NULL;
}
