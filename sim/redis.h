/* The state store of a run: a redis-server of its own, that has everything on disk before it says so. */
#ifndef FLOSIM_SIM_REDIS_H
#define FLOSIM_SIM_REDIS_H

#include "sim/server.h"

extern const struct server_kind redis_kind;

#endif
