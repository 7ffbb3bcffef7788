#include "sim/joined_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 16 };

static bool has_row(const struct param *rows, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(rows[i].name, name))
            return true;
    return false;
}

static void add_part(struct param_table *whole, struct param *rows, const struct param_table *part, size_t at)
{
    for (size_t i = 0; i < part->num_rows; i++) {
        if (has_row(rows, whole->num_rows, part->rows[i].name))
            continue;
        rows[whole->num_rows] = part->rows[i];
        rows[whole->num_rows++].offset += at;
    }
}

int joined_table_init(struct joined_table *joined, const char *name, const struct param_table *const *parts, size_t n,
                      struct error *err)
{
    size_t num_rows = 0;

    assert(n <= JOINED_MAX);
    memset(joined, 0, sizeof *joined);
    for (size_t i = 0; i < n; i++)
        num_rows += parts[i] ? parts[i]->num_rows : 0;
    struct param *rows = calloc(num_rows ? num_rows : 1, sizeof *rows);
    if (!rows)
        return FAIL(err, ERR_MEMORY, "out of memory");
    joined->table = (struct param_table){.name = name, .rows = rows};
    for (size_t i = 0; i < n; i++) {
        joined->at[i] = (joined->table.size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        joined->table.size = joined->at[i] + (parts[i] ? parts[i]->size : 0);
        if (parts[i])
            add_part(&joined->table, rows, parts[i], joined->at[i]);
    }
    return OK;
}

void joined_table_fini(struct joined_table *joined)
{
    free((void *)(uintptr_t)joined->table.rows);
    memset(joined, 0, sizeof *joined);
}
