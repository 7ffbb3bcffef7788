/* Reading: a mapping by a table into a struct, every finding with its place. */
#include "util/params.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "util/params_type.h"

/* Where in the document we are, as a chain on the stack: "comm_config.grpc.timeout_s" in messages. */
struct path {
    const struct path *up;
    const char *name; /* NULL: the root */
};

struct reader {
    struct diags *diags;
    int status;
};

enum { PATH_TEXT = 256 };

static void path_text(const struct path *path, char text[PATH_TEXT])
{
    *text = '\0';
    if (path->up) {
        path_text(path->up, text);
        size_t used = strlen(text);
        snprintf(text + used, PATH_TEXT - used, "%s%s", used ? "." : "", path->name);
    }
}

static void read_error(struct reader *r, struct diag_place place, const struct path *path, const char *what)
{
    char name[PATH_TEXT];

    path_text(path, name);
    diag_error(r->diags, place, "%s%s%s%s", *name ? "`" : "", name, *name ? "` " : "", what);
    r->status = r->status == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID;
}

static int out_of_memory(struct reader *r, struct diag_place place)
{
    if (r->diags)
        diag_error(r->diags, place, "out of memory");
    return r->status = ERR_MEMORY;
}

static const char *kind_text(struct yaml_node node)
{
    return yaml_kind(node) == YAML_SEQUENCE ? "a list" : yaml_kind(node) == YAML_MAPPING ? "a mapping" : "one value";
}

/* Flotilla's templates have `<mqtt_ip>` where a value belongs. */
static bool is_placeholder(struct yaml_node node)
{
    const char *text = yaml_is_plain(node) ? yaml_text(node) : NULL;
    size_t n = text ? strlen(text) : 0;

    return n > 2 && text[0] == '<' && text[n - 1] == '>';
}

static bool reject_placeholder(struct reader *r, struct yaml_node node, const struct path *path)
{
    char what[256];

    if (!is_placeholder(node))
        return false;
    snprintf(what, sizeof what, "still holds the template's `%.80s`: put your value here", yaml_text(node));
    read_error(r, yaml_place(node), path, what);
    return true;
}

/* "must be an integer, found `many`" */
static void type_error(struct reader *r, struct yaml_node node, const struct path *path, enum param_type type)
{
    char what[256];
    const char *text = yaml_text(node);

    if (!text)
        snprintf(what, sizeof what, "must be %s, found %s", param_type_expected(type), kind_text(node));
    else if (!yaml_is_plain(node))
        snprintf(what, sizeof what, "must be %s, found the quoted text \"%.80s\"", param_type_expected(type), text);
    else
        snprintf(what, sizeof what, "must be %s, found `%.80s`", param_type_expected(type), text);
    read_error(r, yaml_place(node), path, what);
}

/* --- single values -------------------------------------------------------------------------------------------------
 */

static size_t scalar_size(enum param_type type)
{
    switch (type) {
    case PARAM_BOOL:
        return sizeof(bool);
    case PARAM_INT:
    case PARAM_BYTES:
        return sizeof(int64_t);
    case PARAM_STRING:
        return sizeof(char *);
    default:
        return sizeof(double);
    }
}

static bool is_number(enum param_type type)
{
    return type != PARAM_BOOL && type != PARAM_STRING;
}

static double number_at(enum param_type type, const void *value)
{
    return type == PARAM_INT || type == PARAM_BYTES ? (double)*(const int64_t *)value : *(const double *)value;
}

static void check_range(struct reader *r, const struct param *row, enum param_type type, struct yaml_node node,
                        const struct path *path, const void *value)
{
    char what[256], range[PARAM_RANGE_TEXT];

    if (!is_number(type) || param_in_range(row, number_at(type, value)))
        return;
    param_range_text(row, range);
    snprintf(what, sizeof what, "must be %s, found `%.40s`", range, yaml_text(node));
    read_error(r, yaml_place(node), path, what);
}

/* A quoted "12" is text; what has a unit, like "50ms", is text to begin with and may be quoted. */
static bool may_be_quoted(enum param_type type)
{
    return type != PARAM_BOOL && type != PARAM_INT && type != PARAM_DOUBLE;
}

/* Returns whether *out was filled. */
static bool read_scalar(struct reader *r, const struct param *row, enum param_type type, struct yaml_node node,
                        const struct path *path, void *out)
{
    union {
        bool truth;
        int64_t integer;
        double real;
        char *text;
    } value;
    const char *text = yaml_text(node);

    if (!text || (!may_be_quoted(type) && !yaml_is_plain(node))) {
        type_error(r, node, path, type);
        return false;
    }
    int status = param_parse_scalar(type, text, &value, NULL);
    if (status == ERR_MEMORY)
        out_of_memory(r, yaml_place(node));
    else if (status)
        type_error(r, node, path, type);
    if (status)
        return false;
    check_range(r, row, type, node, path, &value);
    memcpy(out, &value, scalar_size(type));
    return true;
}

static size_t num_choices(const struct param *row)
{
    size_t n = 0;

    while (row->choices[n])
        n++;
    return n;
}

static void choice_error(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path)
{
    const char *text = yaml_text(node);
    const char *near = text ? nearest_word(text, row->choices, num_choices(row)) : NULL;
    char what[512];
    int used = snprintf(what, sizeof what, "must be one of");

    for (size_t i = 0; row->choices[i] && used < (int)sizeof what; i++)
        used += snprintf(what + used, sizeof what - (size_t)used, "%s %s", i ? "," : "", row->choices[i]);
    if (used < (int)sizeof what)
        used += snprintf(what + used, sizeof what - (size_t)used, "; found %s%.80s%s", text ? "`" : "",
                         text ? text : kind_text(node), text ? "`" : "");
    if (near && used < (int)sizeof what)
        snprintf(what + used, sizeof what - (size_t)used, "; did you mean `%s`?", near);
    read_error(r, yaml_place(node), path, what);
}

static void read_choice(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path,
                        int *out)
{
    const char *text = yaml_text(node);

    for (int i = 0; text && row->choices[i]; i++) {
        if (!strcmp(text, row->choices[i])) {
            *out = i;
            return;
        }
    }
    choice_error(r, row, node, path);
}

/* --- lists ---------------------------------------------------------------------------------------------------------
 */

static enum param_type item_type(enum param_type list)
{
    return list == PARAM_STRINGS ? PARAM_STRING : list == PARAM_INTS ? PARAM_INT : PARAM_DOUBLE;
}

/* The three list structs differ only in the type of `items`. */
static void read_scalars(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path,
                         struct string_list *out)
{
    enum param_type type = item_type(row->type);
    bool single = yaml_kind(node) == YAML_SCALAR;
    size_t n = single ? 1 : yaml_size(node);

    if (yaml_kind(node) == YAML_MAPPING) {
        type_error(r, node, path, row->type);
        return;
    }
    char *items = n ? calloc(n, scalar_size(type)) : NULL;
    if (n && !items) {
        out_of_memory(r, yaml_place(node));
        return;
    }
    for (size_t i = 0; i < n; i++) {
        struct yaml_node item = single ? node : yaml_item(node, i);
        if (read_scalar(r, row, type, item, path, items + out->n * scalar_size(type)))
            out->n++;
    }
    out->items = (char **)(void *)items;
}

static void read_table(struct reader *r, const struct param_table *table, struct yaml_node node,
                       struct diag_place place, const struct path *path, void *out);

static void read_structs(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path,
                         struct param_list *out)
{
    size_t n = yaml_size(node);

    if (yaml_kind(node) != YAML_SEQUENCE) {
        type_error(r, node, path, PARAM_LIST);
        return;
    }
    if (!n)
        return;
    out->items = calloc(n, row->table->size);
    out->places = calloc(n, sizeof *out->places);
    if (!out->items || !out->places) {
        out_of_memory(r, yaml_place(node));
        return;
    }
    for (out->n = 0; out->n < n; out->n++) {
        struct yaml_node item = yaml_item(node, out->n);
        out->places[out->n] = yaml_place(item);
        read_table(r, row->table, item, yaml_place(item), path, (char *)out->items + out->n * row->table->size);
    }
}

/* --- rows ----------------------------------------------------------------------------------------------------------
 */

static void read_value(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path,
                       void *base)
{
    void *out = param_at(row, base);

    if (reject_placeholder(r, node, path))
        return;
    switch (row->type) {
    case PARAM_CHOICE:
        read_choice(r, row, node, path, out);
        break;
    case PARAM_STRINGS:
    case PARAM_INTS:
    case PARAM_DOUBLES:
        read_scalars(r, row, node, path, out);
        break;
    case PARAM_SECTION:
        read_table(r, row->table, node, yaml_place(node), path, out);
        break;
    case PARAM_LIST:
        read_structs(r, row, node, path, out);
        break;
    case PARAM_NODE:
        *(struct yaml_node *)out = node;
        yaml_ref(node.doc);
        break;
    default:
        read_scalar(r, row, row->type, node, path, out);
        break;
    }
}

/* The default is YAML text, read the same way: a table whose own default does not fit is our bug. */
static void read_fallback(struct reader *r, const struct param *row, const struct path *path, void *base)
{
    struct yaml_doc *doc;
    struct diags *diags = row->fallback ? diags_new() : NULL;
    struct diag_place nowhere = {NULL, 0, 0};

    if (!row->fallback)
        return;
    if (!diags || yaml_load_text(row->fallback, strlen(row->fallback), "default", 0, &doc, diags) == ERR_MEMORY) {
        out_of_memory(r, nowhere);
    } else {
        struct reader own = {diags, OK};
        if (!yaml_is_null(yaml_root(doc)))
            read_value(&own, row, yaml_root(doc), path, base);
        assert(own.status == OK || own.status == ERR_MEMORY);
        if (own.status)
            out_of_memory(r, nowhere);
        yaml_unref(doc);
    }
    diags_free(diags);
}

static void read_absent(struct reader *r, const struct param *row, struct diag_place place, const struct path *path,
                        void *base)
{
    if (row->type == PARAM_SECTION)
        read_table(r, row->table, (struct yaml_node){NULL, 0}, place, path, param_at(row, base));
    else if (row->flags & PARAM_REQUIRED)
        read_error(r, place, path, "is missing");
    else
        read_fallback(r, row, path, base);
}

static char *value_text(const struct param *row, const void *base)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    param_write_value(row, param_at_const(row, base), 0, out);
    fclose(out);
    return text;
}

static bool differs_from_default(struct reader *r, const struct param *row, const struct path *path,
                                 const struct param_table *table, const void *base)
{
    void *other = calloc(1, table->size);
    bool differs = true;

    if (!other) {
        out_of_memory(r, (struct diag_place){NULL, 0, 0});
        return false;
    }
    read_fallback(r, row, path, other);
    char *a = value_text(row, base), *b = value_text(row, other);
    if (a && b)
        differs = strcmp(a, b) != 0;
    free(a);
    free(b);
    params_free(table, other);
    free(other);
    return differs;
}

static void warn_no_effect(struct reader *r, const struct param *row, struct yaml_node node, const struct path *path,
                           const struct param_table *table, const void *base)
{
    const char *where = param_without_effect(row);
    char name[PATH_TEXT];

    if (!where || yaml_is_null(node) || (yaml_kind(node) != YAML_SCALAR && !yaml_size(node)) ||
        !differs_from_default(r, row, path, table, base))
        return;
    path_text(path, name);
    diag_warning(r->diags, yaml_place(node), "`%s` has no effect %s", name, where);
}

static struct yaml_node find_value(const struct param *row, struct yaml_node node)
{
    struct yaml_node value = yaml_get(node, row->name);

    return value.doc || !row->alias ? value : yaml_get(node, row->alias);
}

static void read_row(struct reader *r, const struct param_table *table, const struct param *row, struct yaml_node node,
                     struct diag_place place, const struct path *up, void *base)
{
    struct path path = {up, row->name};
    struct yaml_node value = find_value(row, node);
    int status = r->status;

    if (!value.doc || (yaml_is_null(value) && row->type == PARAM_SECTION)) {
        read_absent(r, row, value.doc ? yaml_place(value) : place, &path, base);
        return;
    }
    if (yaml_is_null(value)) { /* an explicit null: the default */
        if (row->flags & PARAM_REQUIRED)
            read_error(r, yaml_place(value), &path, "must have a value");
        else
            read_fallback(r, row, &path, base);
        return;
    }
    r->status = OK;
    read_value(r, row, value, &path, base);
    if (r->status == OK)
        warn_no_effect(r, row, value, &path, table, base);
    if (r->status == OK)
        r->status = status;
}

/* --- tables --------------------------------------------------------------------------------------------------------
 */

static bool row_has_name(const struct param *row, const char *key)
{
    return !strcmp(row->name, key) || (row->alias && !strcmp(row->alias, key));
}

static const struct param *find_row(const struct param_table *table, const char *key)
{
    for (size_t i = 0; i < table->num_rows; i++)
        if (row_has_name(&table->rows[i], key))
            return &table->rows[i];
    return NULL;
}

static void unknown_key(struct reader *r, const struct param_table *table, struct yaml_node key,
                        const struct path *path)
{
    const char *names[256];
    char section[PATH_TEXT];
    size_t n = 0;

    for (size_t i = 0; i < table->num_rows && n < 256; i++)
        names[n++] = table->rows[i].name;
    const char *near = nearest_word(yaml_text(key), names, n);
    path_text(path, section);
    diag_error(r->diags, yaml_place(key), "unknown key `%.80s`%s%s%s%s%s%s", yaml_text(key), *section ? " in `" : "",
               section, *section ? "`" : "", near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
    r->status = r->status == ERR_MEMORY ? ERR_MEMORY : ERR_INVALID;
}

static void check_keys(struct reader *r, const struct param_table *table, struct yaml_node node,
                       const struct path *path)
{
    for (size_t i = 0; i < yaml_size(node); i++) {
        struct yaml_node key = yaml_key(node, i);
        const struct param *row = find_row(table, yaml_text(key));
        if (!row) {
            unknown_key(r, table, key, path);
        } else if (row->alias && !strcmp(row->alias, yaml_text(key)) && yaml_get(node, row->name).doc) {
            struct path at = {path, row->alias};
            char what[128];
            snprintf(what, sizeof what, "is another name of `%s`, which is given too", row->name);
            read_error(r, yaml_place(key), &at, what);
        }
    }
}

static void default_rows(const struct param_table *table, void *out);

/* `place` is where the mapping stands, or would have stood. What is no mapping gets one error, not one for each key. */
static void read_table(struct reader *r, const struct param_table *table, struct yaml_node node,
                       struct diag_place place, const struct path *path, void *out)
{
    if (yaml_kind(node) == YAML_MAPPING) {
        check_keys(r, table, node, path);
    } else if (yaml_kind(node) != YAML_NONE && !yaml_is_null(node)) {
        type_error(r, node, path, PARAM_SECTION);
        default_rows(table, out);
        return;
    }
    for (size_t i = 0; i < table->num_rows; i++)
        read_row(r, table, &table->rows[i], node, place, path, out);
}

int params_read(const struct param_table *table, struct yaml_node node, void *out, struct diags *diags)
{
    struct reader r = {diags, OK};
    struct path root = {NULL, NULL};

    memset(out, 0, table->size);
    read_table(&r, table, node, yaml_place(node), &root, out);
    return r.status;
}

static void default_row(const struct param *row, void *base)
{
    struct reader r = {NULL, OK};
    struct path root = {NULL, NULL};

    if (row->type == PARAM_SECTION)
        default_rows(row->table, param_at(row, base));
    else if (!(row->flags & PARAM_REQUIRED))
        read_fallback(&r, row, &root, base);
}

static void default_rows(const struct param_table *table, void *out)
{
    for (size_t i = 0; i < table->num_rows; i++)
        default_row(&table->rows[i], out);
}

void params_defaults(const struct param_table *table, void *out)
{
    memset(out, 0, table->size);
    default_rows(table, out);
}
