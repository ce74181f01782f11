/*
 * How processes that work together talk: a table of functions. Another shared object fills it (csrc/mpi), which needs
 * nothing of the core but this header; the core needs nothing of what lies behind it.
 *
 * Every process calls these in the same order with sizes that fit. A function that fails leaves a message in `error`
 * (GPT_TRANSPORT_ERROR bytes).
 */
#ifndef GPT_TRANSPORT_H
#define GPT_TRANSPORT_H

#include <stdbool.h>
#include <stddef.h>

#define GPT_TRANSPORT_TYPE "gpt.Transport" /* in Lua: a userdata that holds a pointer to the table */
#define GPT_TRANSPORT_VERSION 1            /* of this table: another one is of another luagpt */
#define GPT_TRANSPORT_ERROR 256

typedef struct GptPiece {
  void *data;
  size_t bytes;
} GptPiece;

typedef struct GptTransport {
  int version;
  int rank, size; /* of this process, from 0; of all */

  /* Begins to send out[r] to every other rank r and to receive in[r] from it ([size] each; the own ones are passed
     over). Their memory belongs to the exchange until it is finished. NULL on failure. It goes on by itself, or when
     any of these functions is called. */
  void *(*begin_exchange)(const GptPiece *out, const GptPiece *in, char *error);

  /* Waits for an exchange, which is gone then, also on failure. */
  bool (*finish_exchange)(void *exchange, char *error);

  /* Sends the root's bytes to all; returns when they are there. */
  bool (*broadcast)(void *data, size_t bytes, int root, char *error);

  /* Ends all processes, this one included. */
  void (*abort)(int status);
} GptTransport;

#endif
