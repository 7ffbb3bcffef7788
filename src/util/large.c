#include "util/large.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CACHE_LINE = 64, HUGE_PAGE = 2 * 1024 * 1024, WORTH_IT = 2 * HUGE_PAGE };

void *large_alloc(size_t size)
{
    size_t unit = size < WORTH_IT ? CACHE_LINE : HUGE_PAGE;
    size_t whole = size ? (size + unit - 1) / unit * unit : unit;
    void *data = whole < size ? NULL : aligned_alloc(unit, whole);

    if (data && unit == HUGE_PAGE)
        madvise(data, whole, MADV_HUGEPAGE); /* only a wish */
    return data;
}

void *large_zeroed(size_t size)
{
    void *data = large_alloc(size);

    return data ? memset(data, 0, size) : NULL;
}
