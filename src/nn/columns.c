#include "nn/columns.h"

#include <stdlib.h>

static bool goes_on(const struct batch_source *source, size_t i)
{
    return !source->follows || source->follows(source->context, i);
}

/* Fills columns where it is not NULL; returns how many there are. */
static size_t cut(const struct batch_source *source, size_t longest, struct column *columns)
{
    size_t n = 0, begin = 0;

    for (size_t i = 1; i <= source->num_items; i++) {
        if (i < source->num_items && i - begin < longest && goes_on(source, i))
            continue;
        if (columns)
            columns[n] = (struct column){begin, i - begin};
        n++;
        begin = i;
    }
    return n;
}

static int by_length(const void *a, const void *b)
{
    const struct column *x = a, *y = b;

    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

struct column *columns_cut(const struct batch_source *source, size_t wanted, size_t *num, struct error *err)
{
    size_t longest = (source->num_items + wanted - 1) / wanted;

    *num = cut(source, longest, NULL);
    struct column *columns = calloc(*num, sizeof *columns);
    if (!columns) {
        FAIL(err, ERR_MEMORY, "out of memory for %zu columns of text", *num);
        return NULL;
    }
    cut(source, longest, columns);
    qsort(columns, *num, sizeof *columns, by_length);
    return columns;
}
