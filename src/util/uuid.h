/* Random (version 4) UUIDs and ones derived from a seed, in the usual lower-case text of 36 characters. */
#ifndef FLOSIM_UTIL_UUID_H
#define FLOSIM_UTIL_UUID_H

#include "util/error.h"
#include "util/rng.h"

enum { UUID_TEXT = 37 }; /* with the terminating NUL */

int uuid_random(char text[UUID_TEXT], struct error *err); /* getrandom(2) */
void uuid_from_rng(char text[UUID_TEXT], struct rng *rng);

#endif
