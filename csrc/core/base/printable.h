/* Texts of anybody's, in messages: nothing in them moves a terminal's cursor, and none is endless. */
#ifndef GPT_PRINTABLE_H
#define GPT_PRINTABLE_H

#include <stddef.h>

/* Copies the text: control characters, but for ends of lines and tabs, and what is no UTF-8 become \xNN. What does not
   fit into size bytes (8 at least), its terminator among them, is cut between two characters and ends in "...". */
void gpt_printable(char *out, size_t size, const char *text);

#endif
