#include "tests/data/support.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "util/fs.h"

char *scratch_new(void)
{
    const char *parent = getenv("TMPDIR");
    char *folder = fs_join(parent ? parent : "/tmp", "flosim-data-XXXXXX");

    cr_assert_not_null(folder);
    cr_assert_not_null(mkdtemp(folder));
    return folder;
}

void scratch_free(char *folder)
{
    cr_assert_eq(fs_remove_tree(folder, NULL), OK);
    free(folder);
}

const char *path_in(const char *folder, const char *name)
{
    static char paths[32][512];
    static unsigned next;
    char *path = paths[next++ % 32];

    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");

    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, size, file), size);
    cr_assert_eq(fclose(file), 0);
}

void write_gz(const char *path, const void *bytes, size_t size)
{
    gzFile file = gzopen(path, "wb6");

    cr_assert_not_null(file);
    cr_assert_eq(gzwrite(file, bytes, (unsigned)size), (int)size);
    cr_assert_eq(gzclose(file), Z_OK);
}

static void put_u32(unsigned char *to, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(value >> (24 - 8 * i));
}

unsigned char *idx_images(uint32_t n, uint32_t rows, uint32_t columns, size_t *size)
{
    size_t values = (size_t)n * rows * columns;
    unsigned char *bytes = malloc(16 + values);

    cr_assert_not_null(bytes);
    put_u32(bytes, 0x00000803);
    put_u32(bytes + 4, n);
    put_u32(bytes + 8, rows);
    put_u32(bytes + 12, columns);
    for (size_t i = 0; i < values; i++)
        bytes[16 + i] = (unsigned char)(i % 251);
    *size = 16 + values;
    return bytes;
}

unsigned char *idx_labels(uint32_t n, unsigned classes, size_t *size)
{
    unsigned char *bytes = malloc(8 + (size_t)n);

    cr_assert_not_null(bytes);
    put_u32(bytes, 0x00000801);
    put_u32(bytes + 4, n);
    for (size_t i = 0; i < n; i++)
        bytes[8 + i] = (unsigned char)(i % classes);
    *size = 8 + (size_t)n;
    return bytes;
}

void *args_from(const struct param_table *table, const char *yaml)
{
    void *args = calloc(1, table->size);
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;

    cr_assert(args && diags);
    cr_assert_eq(yaml_load_text(yaml, strlen(yaml), "test", 0, &doc, diags), OK);
    if (params_read(table, yaml_root(doc), args, diags)) {
        char *text = diags_text(diags);
        cr_assert_fail("%s: %s", yaml, text);
    }
    yaml_unref(doc);
    diags_free(diags);
    return args;
}

void args_free(const struct param_table *table, void *args)
{
    params_free(table, args);
    free(args);
}

void expect_finding(const struct diags *diags, const char *text)
{
    char *all = diags_text(diags);

    cr_assert_not_null(all);
    cr_assert_not_null(strstr(all, text), "`%s` is not in: %s", text, all);
    free(all);
}

struct dataset *labelled_new(size_t n, int32_t classes, int32_t (*label_of)(size_t i))
{
    struct dataset *dataset = calloc(1, sizeof *dataset);
    struct dataset_fill fill;

    cr_assert_not_null(dataset);
    *dataset = (struct dataset){.name = "test", .num_items = n, .num_dims = 1, .dims = {1}, .type = DATA_U8};
    dataset->num_classes = classes;
    dataset->transform = transform_plain(1, 0, 1, 0);
    cr_assert_eq(dataset_alloc(dataset, true, &fill, NULL), OK);
    for (size_t i = 0; i < n; i++) {
        fill.labels[i] = label_of(i);
        fill.groups[i] = (int32_t)(i % LABELLED_GROUPS);
    }
    dataset_seal(dataset);
    return dataset;
}

void labelled_free(struct dataset *dataset)
{
    dataset_fini(dataset);
    free(dataset);
}
