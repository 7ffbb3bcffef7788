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

static char *make_name(struct joined_table *joined, const char *word, const char *key)
{
    char *name = NULL;

    if (asprintf(&name, "%s_%s", word, key) < 0)
        return NULL;
    return joined->names[joined->num_names++] = name;
}

static int add_part(struct joined_table *joined, struct param *rows, const struct joined_part *part, size_t at)
{
    for (size_t i = 0; i < part->table->num_rows; i++) {
        struct param row = part->table->rows[i];

        row.offset += at;
        if (has_row(rows, joined->table.num_rows, row.name)) {
            row.name = make_name(joined, part->word, row.name);
            row.alias = NULL;
        }
        if (!row.name)
            return ERR_MEMORY;
        rows[joined->table.num_rows++] = row;
    }
    return OK;
}

static size_t count_rows(const struct joined_part *parts, size_t n)
{
    size_t num_rows = 0;

    for (size_t i = 0; i < n; i++)
        num_rows += parts[i].table ? parts[i].table->num_rows : 0;
    return num_rows;
}

int joined_table_init(struct joined_table *joined, const char *name, const struct joined_part *parts, size_t n,
                      struct error *err)
{
    size_t num_rows = count_rows(parts, n);

    assert(n <= JOINED_MAX);
    memset(joined, 0, sizeof *joined);
    struct param *rows = calloc(num_rows + 1, sizeof *rows);
    joined->names = calloc(num_rows + 1, sizeof *joined->names);
    joined->table = (struct param_table){.name = name, .rows = rows};
    if (!rows || !joined->names)
        return FAIL(err, ERR_MEMORY, "out of memory");
    for (size_t i = 0; i < n; i++) {
        joined->at[i] = (joined->table.size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        joined->table.size = joined->at[i] + (parts[i].table ? parts[i].table->size : 0);
        if (parts[i].table && add_part(joined, rows, &parts[i], joined->at[i]))
            return FAIL(err, ERR_MEMORY, "out of memory");
    }
    return OK;
}

void joined_table_fini(struct joined_table *joined)
{
    for (size_t i = 0; i < joined->num_names; i++)
        free(joined->names[i]);
    free(joined->names);
    free((void *)(uintptr_t)joined->table.rows);
    memset(joined, 0, sizeof *joined);
}
