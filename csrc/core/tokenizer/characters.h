/* The four kinds of character that the scanner tells apart. */
#ifndef GPT_CHARACTERS_H
#define GPT_CHARACTERS_H

enum { OTHER, LETTER, NUMBER, SPACE };

#endif
