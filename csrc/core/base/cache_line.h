/* A cache line: memory comes in such pieces, and every block of ours begins with one. */
#ifndef GPT_CACHE_LINE_H
#define GPT_CACHE_LINE_H

#define GPT_CACHE_LINE 64 /* bytes */

#endif
