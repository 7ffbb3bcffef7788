#include "vectors.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/fs.h"

static const char *vectors_folder(void)
{
    static char path[512];
    const char *srcdir = getenv("srcdir");

    snprintf(path, sizeof path, "%s/tests/vectors", srcdir ? srcdir : ".");
    return path;
}

struct vector vector_open(const char *name)
{
    struct vector vector = {NULL, NULL};
    struct error err = ERROR_INIT;
    char path[1024];

    snprintf(path, sizeof path, "%s/%s.safetensors", vectors_folder(), name);
    cr_assert_eq(fs_read(path, 16 << 20, &vector.blob, &err), OK, "%s", err.message);
    cr_assert_eq(safetensors_parse(blob_span(vector.blob), &vector.file, &err), OK, "%s: %s", name, err.message);
    return vector;
}

void vector_close(struct vector *vector)
{
    safetensors_free(vector->file);
    blob_unref(vector->blob);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **vector_names(const char *prefix)
{
    DIR *dir = opendir(vectors_folder());
    char **names = calloc(1, sizeof *names);
    size_t n = 0;
    struct dirent *entry;

    cr_assert_not_null(dir, "no vectors in %s", vectors_folder());
    while ((entry = readdir(dir))) {
        char *dot = strstr(entry->d_name, ".safetensors");

        if (!dot || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        *dot = '\0';
        names = realloc(names, (n + 2) * sizeof *names);
        names[n++] = strdup(entry->d_name);
        names[n] = NULL;
    }
    closedir(dir);
    qsort(names, n, sizeof *names, compare);
    return names;
}

void vector_names_free(char **names)
{
    for (size_t i = 0; names[i]; i++)
        free(names[i]);
    free(names);
}

const struct safetensors_tensor *vector_tensor(const struct vector *vector, const char *name)
{
    const struct safetensors_tensor *tensor = safetensors_find(vector->file, name);

    cr_assert_not_null(tensor, "the vector has no tensor %s", name);
    return tensor;
}

float *vector_floats(const struct vector *vector, const char *name)
{
    const struct safetensors_tensor *tensor = vector_tensor(vector, name);
    float *values = malloc(tensor->bytes.size + 1);

    if (strcmp(tensor->dtype, "I64") == 0) { /* a buffer that counts */
        int32_t *counts = vector_labels(vector, name);

        for (size_t i = 0; i < tensor->bytes.size / sizeof(int64_t); i++)
            values[i] = (float)counts[i];
        free(counts);
        return values;
    }
    cr_assert_str_eq(tensor->dtype, "F32");
    memcpy(values, tensor->bytes.data, tensor->bytes.size);
    return values;
}

int32_t *vector_labels(const struct vector *vector, const char *name)
{
    const struct safetensors_tensor *tensor = vector_tensor(vector, name);
    size_t n = tensor->bytes.size / sizeof(int64_t);
    int32_t *labels = malloc(n * sizeof *labels + 1);

    cr_assert_str_eq(tensor->dtype, "I64");
    for (size_t i = 0; i < n; i++) {
        int64_t value;

        memcpy(&value, (const char *)tensor->bytes.data + i * sizeof value, sizeof value);
        labels[i] = (int32_t)value;
    }
    return labels;
}

const char *vector_meta(const struct vector *vector, const char *key, const char *fallback)
{
    const char *value = safetensors_metadata(vector->file, key);

    return value ? value : fallback;
}

void assert_close(const char *what, const float *found, const float *expected, size_t n, double tolerance)
{
    double largest = 1e-30;

    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs((double)expected[i]));
    for (size_t i = 0; i < n; i++)
        cr_assert(fabs((double)found[i] - (double)expected[i]) <= tolerance * largest,
                  "%s[%zu]: %.9g expected, %.9g found", what, i, (double)expected[i], (double)found[i]);
}

struct model *model_from_text(const char *text)
{
    struct diags *diags = diags_new();
    struct model *model;
    int status = model_load_text(text, "model.yaml", NULL, &model, diags);

    if (status != OK)
        diags_print(diags, stderr);
    cr_assert_eq(status, OK, "cannot build: %s", text);
    diags_free(diags);
    return model;
}
