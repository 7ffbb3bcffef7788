#include <criterion/criterion.h>
#include <string.h>

#include "sim/joined_table.h"

struct first {
    int64_t a;
    char *b;
};

struct second {
    double a, c;
};

// clang-format off
static const struct param first_rows[] = {
    {.name = "a", .type = PARAM_INT, .offset = offsetof(struct first, a), .fallback = "1", .help = "a"},
    {.name = "b", .type = PARAM_STRING, .offset = offsetof(struct first, b), .fallback = "text", .help = "b"},
};
static const struct param second_rows[] = {
    {.name = "a", .alias = "alpha", .type = PARAM_DOUBLE, .offset = offsetof(struct second, a), .fallback = "2.5", .help = "a"},
    {.name = "c", .type = PARAM_DOUBLE, .offset = offsetof(struct second, c), .fallback = "3.5", .help = "c"},
};
// clang-format on
static const struct param_table first_table = {"first", NULL, first_rows, 2, sizeof(struct first)};
static const struct param_table second_table = {"second", NULL, second_rows, 2, sizeof(struct second)};

static void read_text(const char *text, struct joined_table *joined, char *out, struct diags *diags)
{
    const struct joined_part parts[] = {{"first", &first_table}, {"empty", NULL}, {"second", &second_table}};
    struct yaml_doc *doc = NULL;

    cr_assert_eq(joined_table_init(joined, "joined", parts, 3, NULL), OK);
    cr_assert_leq(joined->table.size, 256);
    cr_assert_eq(yaml_load_text(text, strlen(text), "t.yaml", 0, &doc, diags), OK);
    params_read(&joined->table, yaml_root(doc), out, diags);
    yaml_unref(doc);
}

Test(joined_table, keys_of_all_parts_stand_side_by_side)
{
    _Alignas(16) char values[256];
    struct joined_table joined;
    struct diags *diags = diags_new();

    read_text("{b: other, c: 7, second_a: 0.5}", &joined, values, diags);
    const struct first *first = (const void *)(values + joined.at[0]);
    const struct second *second = (const void *)(values + joined.at[2]);
    cr_expect_eq(diags_errors(diags), 0);
    cr_expect_eq(first->a, 1);
    cr_expect_str_eq(first->b, "other");
    cr_expect_float_eq(second->a, 0.5, 1e-12);
    cr_expect_float_eq(second->c, 7, 1e-12);
    params_free(&joined.table, values);
    joined_table_fini(&joined);
    diags_free(diags);
}

Test(joined_table, a_key_of_no_part_is_unknown)
{
    _Alignas(16) char values[256];
    struct joined_table joined;
    struct diags *diags = diags_new();

    read_text("{d: 7}", &joined, values, diags);
    cr_expect_eq(diags_errors(diags), 1);
    params_free(&joined.table, values);
    joined_table_fini(&joined);
    diags_free(diags);
}
