/* scenario.resolved.yaml: the scenario with its defaults spelled out, and what it ran with. Arguments of strategies,
 * faults and expectations stand as they were written: their defaults are those of the version that is recorded. */
#include <cblas.h>
#include <errno.h>
#include <grpc/grpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "nn/kernels/kernels.h"
#include "sim/scenario.h"
#include "util/fs.h"

/* The kernel set decides in which order a sum is taken, so it belongs to what repeats a run: the engine's own, and
 * OpenBLAS' where the engine's leaves large products to it. */
static char *kernel_set(void)
{
    const char *own = kernels_best()->name;
    char *text = NULL;

    if (!strcmp(own, "avx512"))
        return strdup(own);
    return asprintf(&text, "%s, OpenBLAS %s", own, openblas_get_corename()) < 0 ? NULL : text;
}

int recorded_fill(struct recorded_keys *out, struct error *err)
{
    struct utsname machine;

    uname(&machine);
    memset(out, 0, sizeof *out);
    out->flosim = strdup(FLOSIM_VERSION);
    out->openblas = strdup(openblas_get_config());
    out->kernels = kernel_set();
    out->grpc = strdup(grpc_version_string());
    out->machine = strdup(machine.machine);
    if (out->flosim && out->openblas && out->kernels && out->grpc && out->machine)
        return OK;
    params_free(&recorded_table, out);
    return FAIL(err, ERR_MEMORY, "out of memory");
}

/* Each entry as it was written, in YAML's JSON form. */
static int write_items(struct yaml_node list, const char *key, FILE *out)
{
    if (yaml_size(list) == 0)
        return OK;
    fprintf(out, "%s:\n", key);
    for (size_t i = 0; i < yaml_size(list); i++) {
        char *json = yaml_to_json(yaml_item(list, i));
        if (!json)
            return ERR_MEMORY;
        fprintf(out, "  - %s\n", json);
        free(json);
    }
    return OK;
}

/* The sections that stand as bare nodes in the keys are written by the tables that read them. */
static int write_sections(const struct scenario *scenario, FILE *out)
{
    int status = OK;

    fputs("data:\n", out);
    params_write(&scenario->data.table.table, scenario->data.keys, 2, out);
    if (scenario->embedded_broker) {
        fputs("broker: embedded\n", out);
    } else {
        fputs("broker:\n", out);
        params_write(&broker_table, &scenario->broker, 2, out);
    }
    if (scenario->embedded_redis)
        fputs("redis: embedded\n", out);
    fputs("session:\n", out);
    params_write(&session_config_table, &scenario->session, 2, out);
    status = write_items(scenario->keys.faults, "faults", out);
    return status ? status : write_items(scenario->keys.expect, "expect", out);
}

static int write_all(const struct scenario *scenario, FILE *out, struct error *err)
{
    struct scenario_keys keys = scenario->keys;
    struct recorded_keys recorded;

    if (recorded_fill(&recorded, err))
        return ERR_MEMORY;
    /* A shallow copy that shares the strings: it is written and forgotten. */
    keys.recorded = recorded;
    keys.session_file = NULL;
    keys.data = keys.broker = keys.redis = keys.session = keys.faults = keys.expect = (struct yaml_node){NULL, 0};
    fputs("# The scenario with its defaults spelled out; faults, expectations and strategies' arguments stand as they were\n"
          "# written or set on the command line. Running this file repeats the run.\n",
          out);
    params_write(&scenario_table, &keys, 0, out);
    int status = write_sections(scenario, out);
    params_free(&recorded_table, &recorded);
    return status ? FAIL(err, status, "out of memory") : OK;
}

int scenario_write_resolved(const struct scenario *scenario, const char *path, struct error *err)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return FAIL(err, ERR_MEMORY, "out of memory");
    int status = write_all(scenario, out, err);
    if (fclose(out) && status == OK)
        status = FAIL(err, ERR_MEMORY, "out of memory");
    struct span whole = span_of(text, size);
    if (status == OK)
        status = fs_write_atomic(path, &whole, 1, err);
    free(text);
    return status;
}
