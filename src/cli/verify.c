/* flosim model verify: opening, comparing, telling. */
#include <math.h>
#include <stdio.h>

#include "cli/model.h"

/* What is nothing but rounding, such as the mean of what a normalisation has centred, has no relative deviation: values
 * below this are compared as if they were as large. */
#define DEVIATION_FLOOR 1e-3

static void note(struct deviation *deviation, const char *tensor, double off)
{
    deviation->tensors++;
    if (off <= deviation->largest)
        return;
    deviation->largest = isnan(off) ? (double)INFINITY : off; /* NaN is the worst */
    snprintf(deviation->tensor, sizeof deviation->tensor, "%s", tensor);
}

void deviation_add_value(struct deviation *deviation, const char *tensor, double found, double expected)
{
    note(deviation, tensor, fabs(found - expected) / fmax(fabs(expected), DEVIATION_FLOOR));
}

void deviation_add(struct deviation *deviation, const char *tensor, const float *found, const float *expected, size_t n)
{
    double largest = DEVIATION_FLOOR, off = 0;

    for (size_t i = 0; i < n; i++) {
        double difference = fabs((double)found[i] - (double)expected[i]);

        largest = fmax(largest, fabs((double)expected[i]));
        if (!(difference <= off))
            off = isnan(difference) ? (double)INFINITY : difference;
    }
    note(deviation, tensor, off / largest);
}

struct deviation *comparison_add(struct comparison *comparison, const char *what)
{
    struct deviation *deviation = &comparison->deviations[comparison->n++];

    *deviation = (struct deviation){.what = what, .largest = -1};
    return deviation;
}

static int report(const struct comparison *comparison, double tolerance)
{
    bool good = true;

    for (int i = 0; i < comparison->n; i++) {
        const struct deviation *d = &comparison->deviations[i];

        if (d->tensors == 0)
            continue;
        printf("%-14s largest deviation %.3g (%s, %zu compared)\n", d->what, d->largest, d->tensor, d->tensors);
        good &= d->largest <= tolerance;
    }
    printf("%s the tolerance of %g\n", good ? "within" : "past", tolerance);
    return good ? 0 : 1;
}

static int compare(const struct record *record, const char *folder, const json_t *args, struct comparison *out,
                   struct error *err)
{
    struct model *model;
    int status;

    if (!folder)
        return verify_part(record, out, err);
    if (model_command_load(folder, args, &model) != OK)
        return FAIL(err, ERR_INVALID, "%s cannot be loaded", folder);
    status = verify_run(record, model, out, err);
    model_free(model);
    return status;
}

int model_verify(const char *folder, const char *path, const json_t *args, double tolerance)
{
    struct comparison comparison = {.n = 0};
    struct error err = ERROR_INIT;
    struct record record;
    int status = record_open(path, &record, &err);

    if (status == OK) {
        status = compare(&record, folder, args, &comparison, &err);
        if (status != OK)
            error_context(&err, status, "%s", path);
    }
    record_close(&record);
    if (status == OK)
        return report(&comparison, tolerance);
    fprintf(stderr, "flosim model verify: %s\n", err.message);
    return 2;
}
