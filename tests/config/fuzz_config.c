/* A fuzz target for everything that reads configuration: configure with --enable-fuzzing CC=clang, then run
 * tests/config/fuzz_config on a folder of seeds such as tests/config/flotilla. Besides not crashing it must hold that
 * what is written as JSON is read again as the same JSON, and a struct that is written back as the same struct. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/leader_config.h"
#include "config/model_folder.h"
#include "config/session_config.h"
#include "config/worker_config.h"
#include "util/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int truth)
{
    if (!truth)
        abort();
}

static char *json_of(const char *text, size_t size, struct diags *diags)
{
    struct yaml_doc *doc;
    char *json = NULL;

    if (!yaml_load_text(text, size, "fuzz", 0, &doc, diags))
        json = yaml_to_json(yaml_root(doc));
    yaml_unref(doc);
    return json;
}

/* A key of more than 1024 characters is no simple key of YAML: such a document cannot come back. */
static void check_json(struct yaml_node root, size_t size)
{
    struct diags *diags = diags_new();
    char *json = yaml_to_json(root), *again;

    must(diags && json);
    again = json_of(json, strlen(json), diags);
    must(size > 200 || again != NULL);
    must(!again || !strcmp(json, again));
    free(again);
    free(json);
    diags_free(diags);
}

static char *written(const struct param_table *table, const void *values)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    must(out != NULL);
    params_write(table, values, 0, out);
    fclose(out);
    return text;
}

static void read_again(const struct param_table *table, const char *text)
{
    struct diags *diags = diags_new();
    struct yaml_doc *doc = NULL;
    void *values = calloc(1, table->size);

    must(diags && values && !yaml_load_text(text, strlen(text), "again", 0, &doc, diags));
    must(!params_read(table, yaml_root(doc), values, diags));
    char *again = written(table, values);
    must(!strcmp(text, again));
    free(again);
    params_free(table, values);
    free(values);
    yaml_unref(doc);
    diags_free(diags);
}

static void check_table(const struct param_table *table, struct yaml_node root, struct diags *diags)
{
    void *values = calloc(1, table->size), *copy = calloc(1, table->size);

    must(values && copy);
    int status = params_read(table, root, values, diags);
    must(params_copy(table, values, copy) == OK);
    char *text = written(table, copy);
    if (!status)
        read_again(table, text);
    free(text);
    params_free(table, values);
    params_free(table, copy);
    free(values);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct param_table *const tables[] = {&leader_config_table, &worker_config_table,
                                                       &session_config_table, &model_folder_table};
    struct diags *diags = diags_new();
    struct yaml_doc *doc;

    must(diags != NULL);
    if (!yaml_load_text((const char *)data, size, "fuzz", 0, &doc, diags)) {
        check_json(yaml_root(doc), size);
        for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
            check_table(tables[i], yaml_root(doc), diags);
    }
    yaml_unref(doc);
    free(diags_text(diags));
    diags_free(diags);
    return 0;
}
