#include "util/grow.h"

#include <stdint.h>
#include <stdlib.h>

void *grow(void *items, size_t n, size_t item_size)
{
    if ((n & (n - 1)) != 0)
        return items;
    size_t room = n == 0 ? 1 : 2 * n;
    return n > SIZE_MAX / 2 || room > SIZE_MAX / item_size ? NULL : realloc(items, room * item_size);
}
