/* From ids back to text. */
#ifndef GPT_TOKENIZER_DECODE_H
#define GPT_TOKENIZER_DECODE_H

#include <stdbool.h>
#include <stddef.h>

#define GPT_DECODER_BYTES 15

/* How tokens of a raw vocabulary read; all zero: as they are. */
typedef struct GptDecoder {
  char from[GPT_DECODER_BYTES + 1], to[GPT_DECODER_BYTES + 1]; /* what stands in tokens for what */
  size_t from_length, to_length;
  bool bytes;       /* tokens written <0x0A> are bytes */
  bool added_too;   /* added tokens read like all others */
  size_t strip;     /* so many blanks at the beginning of a text are left out */
  bool strip_first; /* in its first token `from` is left out */
} GptDecoder;

#endif
