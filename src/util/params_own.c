/* Ownership of a table's struct: freeing and copying. */
#include <stdlib.h>
#include <string.h>

#include "util/params_type.h"

static void free_strings(struct string_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->items[i]);
    free(list->items);
}

static void free_rows(const struct param_table *table, void *base);

static void free_structs(const struct param_table *table, struct param_list *list)
{
    for (size_t i = 0; list->items && i < list->n; i++)
        free_rows(table, (char *)list->items + i * table->size);
    free(list->items);
    free(list->places);
}

static void free_row(const struct param *row, void *base)
{
    void *value = param_at(row, base);

    switch (row->type) {
    case PARAM_STRING:
        free(*(char **)value);
        break;
    case PARAM_STRINGS:
        free_strings(value);
        break;
    case PARAM_INTS:
        free(((struct int_list *)value)->items);
        break;
    case PARAM_DOUBLES:
        free(((struct double_list *)value)->items);
        break;
    case PARAM_SECTION:
        free_rows(row->table, value);
        break;
    case PARAM_LIST:
        free_structs(row->table, value);
        break;
    case PARAM_NODE:
        yaml_unref(((struct yaml_node *)value)->doc);
        break;
    default:
        break;
    }
}

static void free_rows(const struct param_table *table, void *base)
{
    for (size_t i = 0; i < table->num_rows; i++)
        free_row(&table->rows[i], base);
}

void params_free(const struct param_table *table, void *out)
{
    free_rows(table, out);
    memset(out, 0, table->size);
}

static void *copy_bytes(const void *from, size_t n, size_t size)
{
    void *copy = calloc(n ? n : 1, size);

    return copy && n ? memcpy(copy, from, n * size) : copy;
}

static int copy_strings(const struct string_list *from, struct string_list *to)
{
    *to = (struct string_list){calloc(from->n ? from->n : 1, sizeof *to->items), 0};
    if (!to->items)
        return ERR_MEMORY;
    for (; to->n < from->n; to->n++)
        if (!(to->items[to->n] = strdup(from->items[to->n])))
            return ERR_MEMORY;
    return OK;
}

static int copy_rows(const struct param_table *table, const void *from, void *to);

static int copy_structs(const struct param_table *table, const struct param_list *from, struct param_list *to)
{
    to->items = calloc(from->n ? from->n : 1, table->size);
    to->places = copy_bytes(from->places, from->places ? from->n : 0, sizeof *to->places);
    if (!to->items || !to->places)
        return ERR_MEMORY;
    while (to->n < from->n) {
        size_t at = to->n++ * table->size; /* counted first, so that a half-made copy is freed too */
        int status = copy_rows(table, (const char *)from->items + at, (char *)to->items + at);
        if (status)
            return status;
    }
    return OK;
}

/* `to` is all zero before, and after a failure something that params_free can take. */
static int copy_row(const struct param *row, const void *from_base, void *to_base)
{
    const void *from = param_at_const(row, from_base);
    void *to = param_at(row, to_base);

    switch (row->type) {
    case PARAM_BOOL:
        *(bool *)to = *(const bool *)from;
        return OK;
    case PARAM_INT:
    case PARAM_BYTES:
        *(int64_t *)to = *(const int64_t *)from;
        return OK;
    case PARAM_CHOICE:
        *(int *)to = *(const int *)from;
        return OK;
    case PARAM_STRING:
        *(char **)to = *(char *const *)from ? strdup(*(char *const *)from) : NULL;
        return *(char **)to || !*(char *const *)from ? OK : ERR_MEMORY;
    case PARAM_STRINGS:
        return copy_strings(from, to);
    case PARAM_INTS:
        *(struct int_list *)to = *(const struct int_list *)from;
        ((struct int_list *)to)->items =
            copy_bytes(((const struct int_list *)from)->items, ((const struct int_list *)from)->n, sizeof(int64_t));
        return ((struct int_list *)to)->items ? OK : ERR_MEMORY;
    case PARAM_DOUBLES:
        *(struct double_list *)to = *(const struct double_list *)from;
        ((struct double_list *)to)->items = copy_bytes(((const struct double_list *)from)->items,
                                                       ((const struct double_list *)from)->n, sizeof(double));
        return ((struct double_list *)to)->items ? OK : ERR_MEMORY;
    case PARAM_SECTION:
        return copy_rows(row->table, from, to);
    case PARAM_LIST:
        return copy_structs(row->table, from, to);
    case PARAM_NODE:
        *(struct yaml_node *)to = *(const struct yaml_node *)from;
        yaml_ref(((struct yaml_node *)to)->doc);
        return OK;
    default:
        *(double *)to = *(const double *)from;
        return OK;
    }
}

static int copy_rows(const struct param_table *table, const void *from, void *to)
{
    int status = OK;

    for (size_t i = 0; i < table->num_rows && !status; i++)
        status = copy_row(&table->rows[i], from, to);
    return status;
}

int params_copy(const struct param_table *table, const void *from, void *to)
{
    memset(to, 0, table->size);
    int status = copy_rows(table, from, to);
    if (status)
        params_free(table, to);
    return status;
}
