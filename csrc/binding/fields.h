/* Fields of a table of options or of a checked config. */
#ifndef GPT_BINDING_FIELDS_H
#define GPT_BINDING_FIELDS_H

#include "binding/binding.h"

/* Raises for the value on top of the stack: "what: name: ... expected, got ...". */
void bind_refuse_field(lua_State *L, const char *what, const char *name, const char *expected);

/* A whole number of at least `least` (INT64_MIN: any); `what` names the caller in messages. Of the two the first
 * demands the field, the second returns otherwise where it is missing. */
int64_t bind_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least);
int64_t bind_opt_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least,
                               int64_t otherwise);

/* Numbers from low to high; `above`: not low itself, `below`: not high itself. */
typedef struct BindRange {
  double low, high;
  bool above, below;
  const char *expected; /* "a number from 0 to 1" */
} BindRange;

double bind_opt_number_within(lua_State *L, int table, const char *what, const char *name, BindRange range,
                              double otherwise);

/* A number in [low, high). */
double bind_opt_number_field(lua_State *L, int table, const char *what, const char *name, double low, double high,
                             double otherwise);

/* true or false. */
bool bind_opt_boolean_field(lua_State *L, int table, const char *what, const char *name, bool otherwise);

#endif
