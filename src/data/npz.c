#include "data/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/zip.h"
#include "util/fs.h"

enum { MAGIC_SIZE = 8, HEADER_MAX = 65536 };

/* ---- .npy: a magic number, the length of a Python dict as text, the dict, the values ---- */

/* The text behind 'key': in the dict, or NULL. */
static const char *find_key(const char *header, const char *key)
{
    char quoted[32];

    snprintf(quoted, sizeof quoted, "'%s'", key);
    const char *at = strstr(header, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    return *at == ':' ? at + 1 + strspn(at + 1, " ") : NULL;
}

/* Of what a message shows of a header's value: a quoted word, or what comes before a comma. */
static int word_length(const char *at)
{
    size_t length = *at == '\'' ? strcspn(at + 1, "'") + 2 : strcspn(at, ",}");

    return length < 24 ? (int)length : 24;
}

static int parse_type(const char *header, struct data_array *out, struct error *err)
{
    static const struct {
        const char *text;
        enum array_type type;
    } types[] = {{"'|u1'", ARRAY_U8},  {"'<u1'", ARRAY_U8},  {"'<i4'", ARRAY_I32}, {"'<i8'", ARRAY_I64},
                 {"'<f2'", ARRAY_F16}, {"'<f4'", ARRAY_F32}, {"'<f8'", ARRAY_F64}};
    const char *at = find_key(header, "descr");

    for (size_t i = 0; at && i < sizeof types / sizeof *types; i++)
        if (strncmp(at, types[i].text, 5) == 0) {
            out->type = types[i].type;
            return OK;
        }
    return FAIL(err, ERR_UNIMPLEMENTED,
                "the array's type %.*s is not read; u1, i4, i8, f2, f4 and f8, little-endian, are: convert it with "
                ".astype('<f4'), or .astype('<i8') for labels",
                word_length(at ? at : "(none)"), at ? at : "(none)");
}

static int parse_order(const char *header, struct error *err)
{
    const char *at = find_key(header, "fortran_order");

    if (at && strncmp(at, "False", 5) == 0)
        return OK;
    if (at && strncmp(at, "True", 4) == 0)
        return FAIL(err, ERR_UNIMPLEMENTED,
                    "the array lies in Fortran order; save numpy.ascontiguousarray(array) instead");
    return FAIL(err, ERR_CORRUPT, "the header does not say fortran_order: True or False");
}

/* (3, 4), (3,) or (). Fills dims and the number of values. */
static int parse_shape(const char *header, struct data_array *out, size_t *num_values, struct error *err)
{
    const char *at = find_key(header, "shape");
    char *end;

    *num_values = 1;
    if (!at || *at++ != '(')
        return FAIL(err, ERR_CORRUPT, "the header has no shape: (…)");
    for (out->num_dims = 0; *(at += strspn(at, " ,")) != ')'; at = end) {
        long long dim = *at >= '0' && *at <= '9' ? strtoll(at, &end, 10) : -1;
        if (dim < 0 || out->num_dims == ARRAY_MAX_DIMS || __builtin_mul_overflow(*num_values, (size_t)dim, num_values))
            return FAIL(err, ERR_CORRUPT, "the header's shape is damaged, or has more than %d dimensions",
                        ARRAY_MAX_DIMS);
        out->dims[out->num_dims++] = dim;
    }
    return OK;
}

static int parse_header(char *header, struct span data, struct data_array *out, struct error *err)
{
    size_t num_values, size;
    int status = parse_order(header, err);

    if (!status)
        status = parse_type(header, out, err);
    if (!status)
        status = parse_shape(header, out, &num_values, err);
    if (status)
        return status;
    if (__builtin_mul_overflow(num_values, array_type_size(out->type), &size) || size != data.size)
        return FAIL(err, ERR_CORRUPT, "the header promises %zu values of %zu bytes, but %zu bytes follow", num_values,
                    array_type_size(out->type), data.size);
    out->bytes = data;
    return OK;
}

/* Where the dict begins, and how long it is. */
static int find_header(struct span image, size_t *begin, size_t *size, struct error *err)
{
    const unsigned char *bytes = image.data;

    if (image.size < MAGIC_SIZE + 4 || memcmp(bytes, "\x93NUMPY", 6) != 0 || bytes[6] < 1 || bytes[6] > 3)
        return FAIL(err, ERR_CORRUPT, "no NumPy array of format 1 to 3 begins here");
    *begin = MAGIC_SIZE + (bytes[6] == 1 ? 2 : 4);
    *size = (size_t)bytes[8] | (size_t)bytes[9] << 8;
    if (bytes[6] > 1)
        *size |= (size_t)bytes[10] << 16 | (size_t)bytes[11] << 24;
    if (*size > HEADER_MAX || *size > image.size - *begin)
        return FAIL(err, ERR_CORRUPT, "the header of %zu bytes does not fit: the file is cut short or damaged", *size);
    return OK;
}

int npy_parse(struct span image, const char *name, uint64_t base, struct data_array *out, struct error *err)
{
    size_t begin = 0, size = 0;
    char *header = NULL;
    int status = find_header(image, &begin, &size, err);

    memset(out, 0, sizeof *out);
    out->name = name;
    if (!status && !(header = strndup((const char *)image.data + begin, size)))
        status = FAIL(err, ERR_MEMORY, "out of memory");
    out->first_byte = base + begin + size;
    if (!status)
        status =
            parse_header(header, span_of((const char *)image.data + begin + size, image.size - begin - size), out, err);
    free(header);
    return status ? error_context(err, status, "byte %llu: `%s`", (unsigned long long)base, name) : OK;
}

/* ---- .npz ---- */

struct member {
    struct blob *blob;
    struct data_array array;
    bool found;
};

static int read_member(struct span image, const char *name, const char *file, struct member *out, struct error *err)
{
    uint64_t first_byte = 0;
    int status = zip_read(image, file, SIZE_MAX / 2, &out->blob, &first_byte, err);

    out->found = !status && out->blob;
    return out->found ? npy_parse(blob_span(out->blob), name, first_byte, &out->array, err) : status;
}

static int fill(const struct member *x, const struct member *y, const struct member *group, struct dataset *out,
                struct error *err)
{
    const struct data_arrays arrays = {&x->array, &y->array, group->found ? &group->array : NULL, NULL};
    int status = x->found && y->found
                     ? arrays_describe(&x->array, out, err)
                     : FAIL(err, ERR_INVALID, "no `%s`: numpy.savez(file, x=..., y=...) gives what is read here",
                            x->found ? "y" : "x");

    if (!status)
        status = arrays_fill(&arrays, out, err);
    if (status)
        dataset_fini(out);
    else
        dataset_seal(out);
    return status;
}

int npz_decode(struct span image, struct dataset *out, struct error *err)
{
    struct member x = {0}, y = {0}, group = {0};
    int status = read_member(image, "x", "x.npy", &x, err);

    if (!status)
        status = read_member(image, "y", "y.npy", &y, err);
    if (!status)
        status = read_member(image, "group", "group.npy", &group, err);
    if (!status)
        status = fill(&x, &y, &group, out, err);
    blob_unref(x.blob);
    blob_unref(y.blob);
    blob_unref(group.blob);
    return status;
}

/* data_x.npy -> data_y.npy; new string, NULL where the name does not end so or when out of memory. */
static char *y_path(const char *x_path)
{
    size_t n = strlen(x_path);
    char *path = n >= 5 && strcmp(x_path + n - 5, "x.npy") == 0 ? strdup(x_path) : NULL;

    if (path)
        path[n - 5] = 'y';
    return path;
}

static int load_npy(const char *path, struct span image, struct dataset *out, struct error *err)
{
    struct member x = {.found = true}, y = {.found = true}, group = {0};
    char *other = y_path(path);
    int status =
        other ? fs_map(other, &y.blob, err)
              : FAIL(err, ERR_INVALID, "the name of a .npy with the items ends in x.npy, so that y.npy is known");

    if (!status)
        status = npy_parse(image, "x", 0, &x.array, err);
    if (!status && (status = npy_parse(blob_span(y.blob), "y", 0, &y.array, err)))
        error_context(err, status, "%s", other);
    if (!status)
        status = fill(&x, &y, &group, out, err);
    blob_unref(y.blob);
    free(other);
    return status;
}

int npz_load(const char *path, struct dataset *out, struct diags *diags)
{
    struct blob *image = NULL;
    struct error err = ERROR_INIT;
    int status = fs_map(path, &image, &err);

    if (!status && blob_size(image) >= 6 && memcmp(blob_bytes(image), "\x93NUMPY", 6) == 0)
        status = load_npy(path, blob_span(image), out, &err);
    else if (!status)
        status = npz_decode(blob_span(image), out, &err);
    blob_unref(image);
    if (status)
        diag_error(diags, (struct diag_place){path, 0, 0}, "%s", err.message);
    return status;
}
