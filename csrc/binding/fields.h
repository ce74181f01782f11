/* Fields of a table of options or of a checked config. */
#ifndef GPT_BINDING_FIELDS_H
#define GPT_BINDING_FIELDS_H

#include "binding/binding.h"

/* A whole number of at least `least`; what names the caller in messages. optional: otherwise answers for a missing one;
 * without, it must be there. */
int64_t bind_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least);
int64_t bind_opt_integer_field(lua_State *L, int table, const char *what, const char *name, int64_t least,
                               int64_t otherwise);

/* A number in [low, high). */
double bind_opt_number_field(lua_State *L, int table, const char *what, const char *name, double low, double high,
                             double otherwise);

/* true or false. */
bool bind_opt_boolean_field(lua_State *L, int table, const char *what, const char *name, bool otherwise);

#endif
