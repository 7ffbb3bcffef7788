#include "data/cifar.h"

#include <stdlib.h>
#include <string.h>

#include "data/byte_reader.h"
#include "util/fs.h"

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE };

/* Labels before the pixels of a record. */
static size_t label_bytes(enum cifar_kind kind)
{
    return kind == CIFAR_10 ? 1 : 2;
}

static int32_t classes_of(enum cifar_kind kind)
{
    return kind == CIFAR_10 ? 10 : kind == CIFAR_100_FINE ? 100 : 20;
}

/* Every label byte of a record is checked, also the one that is not asked for: a wrong one means a wrong file. */
static int check_labels(enum cifar_kind kind, const unsigned char *labels, uint64_t at, struct error *err)
{
    for (size_t i = 0; i < label_bytes(kind); i++) {
        int limit = kind == CIFAR_10 ? 10 : i == 0 ? 20 : 100;
        if (labels[i] >= limit)
            return FAIL(err, ERR_CORRUPT, "byte %llu: label %d is not between 0 and %d: this is not a CIFAR-%s batch",
                        (unsigned long long)(at + i), labels[i], limit - 1, kind == CIFAR_10 ? "10" : "100");
    }
    return OK;
}

/* Read records until the file ends; with x NULL only count them. */
static int read_records(enum cifar_kind kind, struct byte_reader *reader, uint8_t *x, int32_t *labels, size_t *n,
                        struct error *err)
{
    unsigned char record[2 + PIXELS];
    size_t head = label_bytes(kind), size = head + PIXELS, got = size;

    for (*n = 0; got > 0; ++*n) {
        uint64_t at = reader->offset;
        int status = byte_reader_read_upto(reader, record, size, &got, err);
        if (!status && got == 0)
            break;
        if (!status && got < size)
            status = FAIL(err, ERR_CORRUPT,
                          "byte %llu: %zu bytes where a record of %zu bytes is expected: the file is cut short, or no "
                          "CIFAR-%s batch",
                          (unsigned long long)at, got, size, kind == CIFAR_10 ? "10" : "100");
        if (!status)
            status = check_labels(kind, record, at, err);
        if (status)
            return status;
        if (!x)
            continue;
        memcpy(x + *n * PIXELS, record + head, PIXELS);
        labels[*n] = record[kind == CIFAR_100_FINE ? 1 : 0];
    }
    return *n > 0 ? OK : FAIL(err, ERR_CORRUPT, "byte 0: the file is empty");
}

static int read_file(enum cifar_kind kind, struct span file, uint8_t *x, int32_t *labels, size_t *n, struct error *err)
{
    struct byte_reader reader;
    int status = byte_reader_init(&reader, file, err);

    if (!status)
        status = read_records(kind, &reader, x, labels, n, err);
    byte_reader_fini(&reader);
    return status;
}

/* Files are read twice, so that as much is allocated as there is: a .gz tells its size only when it has been read. */
int cifar_decode(enum cifar_kind kind, const struct span *files, size_t n, struct dataset *out, size_t *culprit,
                 struct error *err)
{
    struct dataset_fill fill = {0};
    size_t total = 0, records = 0;
    int status = OK;

    for (size_t i = 0; i < n && !status; i++, total += records)
        status = read_file(kind, files[ *culprit = i], NULL, NULL, &records, err);
    out->num_items = total;
    out->type = DATA_U8;
    out->num_dims = 3;
    memcpy(out->dims, (int64_t[]){3, SIDE, SIDE}, 3 * sizeof *out->dims);
    out->num_classes = classes_of(kind);
    if (!status)
        status = dataset_alloc(out, false, &fill, err);
    total = 0;
    for (size_t i = 0; i < n && !status; i++, total += records)
        status = read_file(kind, files[ *culprit = i], (uint8_t *)fill.x + total * PIXELS, fill.labels + total,
                           &records, err);
    if (status)
        dataset_fini(out);
    else
        dataset_seal(out);
    return status;
}

static int map_files(const char *const *paths, size_t n, const char *remedy, struct blob **blobs, struct span *spans,
                     struct diags *diags)
{
    int status = OK;

    for (size_t i = 0; i < n; i++) {
        struct error err = ERROR_INIT;
        int failed = fs_map(paths[i], &blobs[i], &err);
        if (failed)
            diag_error(diags, (struct diag_place){paths[i], 0, 0}, "%s; %s", err.message, remedy);
        else
            spans[i] = blob_span(blobs[i]);
        status = status ? status : failed;
    }
    return status;
}

int cifar_load(enum cifar_kind kind, const char *const *paths, size_t n, const char *remedy, struct dataset *out,
               struct diags *diags)
{
    struct blob **blobs = calloc(n + 1, sizeof(struct blob *));
    struct span *spans = calloc(n + 1, sizeof *spans);
    struct error err = ERROR_INIT;
    size_t culprit = 0;
    int status = blobs && spans ? map_files(paths, n, remedy, blobs, spans, diags) : ERR_MEMORY;

    if (!status && (status = cifar_decode(kind, spans, n, out, &culprit, &err)))
        diag_error(diags, (struct diag_place){n ? paths[culprit] : "cifar", 0, 0}, "%s; %s", err.message, remedy);
    for (size_t i = 0; i < n && blobs; i++)
        blob_unref(blobs[i]);
    free(blobs);
    free(spans);
    return status;
}

int cifar_size_of(const char *path, uint64_t *size, struct error *err)
{
    unsigned char part[4096];
    struct byte_reader reader = {0};
    struct blob *blob = NULL;
    size_t got = sizeof part;
    int status = fs_map(path, &blob, err);

    if (status)
        return status;
    status = byte_reader_init(&reader, blob_span(blob), err);
    while (!status && got == sizeof part)
        status = byte_reader_read_upto(&reader, part, sizeof part, &got, err);
    *size = reader.offset;
    byte_reader_fini(&reader);
    blob_unref(blob);
    return status;
}

bool cifar_kind_of(const char *path, uint64_t size, enum cifar_kind *kind)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool ten = size > 0 && size % (1 + PIXELS) == 0, hundred = size > 0 && size % (2 + PIXELS) == 0;

    if (ten && hundred)
        ten = strncmp(name, "train", 5) != 0 && strncmp(name, "test.bin", 8) != 0;
    *kind = ten ? CIFAR_10 : CIFAR_100_FINE;
    return ten || hundred;
}
