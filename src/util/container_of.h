#ifndef FLOSIM_UTIL_CONTAINER_OF_H
#define FLOSIM_UTIL_CONTAINER_OF_H

#include <stddef.h>

/* Recover the struct that embeds a member. */
#define CONTAINER_OF(pointer, type, member) ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
