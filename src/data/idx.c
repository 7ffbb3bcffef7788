#include "data/idx.h"

#include <stdlib.h>
#include <string.h>

#include "data/labels.h"
#include "util/fs.h"

static uint32_t big_endian(const unsigned char bytes[4])
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static int read_magic(struct byte_reader *reader, struct idx_header *out, struct error *err)
{
    unsigned char magic[4];
    int status = byte_reader_read(reader, magic, sizeof magic, "the IDX magic number", err);

    if (status)
        return status;
    if (magic[0] != 0 || magic[1] != 0)
        return FAIL(err, ERR_CORRUPT, "byte 0: %02x %02x where an IDX file has 00 00: this is not IDX data", magic[0],
                    magic[1]);
    if (magic[2] != IDX_U8 && magic[2] != IDX_I32 && magic[2] != IDX_F32)
        return FAIL(err, ERR_UNIMPLEMENTED,
                    "byte 2: IDX type 0x%02x is not read here: 0x08 (unsigned byte), 0x0c (int) and 0x0d (float) are",
                    magic[2]);
    if (magic[3] < 1 || magic[3] > IDX_MAX_DIMS)
        return FAIL(err, ERR_CORRUPT, "byte 3: %d dimensions where 1 to %d are possible", magic[3], IDX_MAX_DIMS);
    out->type = magic[2];
    out->num_dims = magic[3];
    return OK;
}

int idx_read_header(struct byte_reader *reader, struct idx_header *out, struct error *err)
{
    int status = read_magic(reader, out, err);

    if (status)
        return status;
    out->num_bytes = out->type == IDX_U8 ? 1 : 4;
    for (int i = 0; i < out->num_dims; i++) {
        unsigned char bytes[4];
        unsigned long long at = reader->offset;
        if ((status = byte_reader_read(reader, bytes, sizeof bytes, "the IDX dimensions", err)))
            return status;
        out->dims[i] = big_endian(bytes);
        if (out->dims[i] == 0 || __builtin_mul_overflow(out->num_bytes, (uint64_t)out->dims[i], &out->num_bytes) ||
            out->num_bytes > byte_reader_limit(reader))
            return FAIL(err, ERR_CORRUPT,
                        "byte %llu: dimension %d of %u values does not fit a file of %zu bytes: the header is wrong or "
                        "the file is cut short",
                        at, i, out->dims[i], reader->file.size);
    }
    return OK;
}

/* [N, 28, 28] becomes items of [1, 28, 28]: one channel. */
static int set_item_dims(const struct idx_header *header, struct dataset *out, struct error *err)
{
    int n = 0;

    if (header->num_dims < 2 || header->type == IDX_I32)
        return FAIL(
            err, ERR_CORRUPT,
            "byte 2: images are bytes or floats of at least two dimensions; these are labels, or something else");
    if (header->num_dims == 3)
        out->dims[n++] = 1;
    for (int i = 1; i < header->num_dims; i++)
        out->dims[n++] = header->dims[i];
    out->num_dims = n;
    out->num_items = header->dims[0];
    out->type = header->type == IDX_U8 ? DATA_U8 : DATA_F32;
    return OK;
}

static void swap_floats(void *values, size_t n)
{
    unsigned char *bytes = values;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = big_endian(bytes + 4 * i);
        memcpy(bytes + 4 * i, &bits, sizeof bits);
    }
}

static int read_images(struct byte_reader *reader, const struct idx_header *header, void *x, struct error *err)
{
    int status = byte_reader_read(reader, x, (size_t)header->num_bytes, "the images", err);

    if (!status)
        status = byte_reader_finish(reader, err);
    if (!status && header->type == IDX_F32)
        swap_floats(x, (size_t)header->num_bytes / 4);
    return status;
}

static int32_t to_label(uint32_t bits)
{
    return bits <= INT32_MAX ? (int32_t)bits : -1;
}

/* Labels are read in pieces, so that they need no memory of their own. */
static int read_labels(struct byte_reader *reader, const struct idx_header *header, struct dataset *out, int32_t offset,
                       int32_t *labels, struct error *err)
{
    unsigned char piece[4096];
    size_t width = header->type == IDX_U8 ? 1 : 4, done = 0;

    while (done < out->num_items) {
        size_t n = sizeof piece / width < out->num_items - done ? sizeof piece / width : out->num_items - done;
        int status = byte_reader_read(reader, piece, n * width, "the labels", err);
        if (status)
            return status;
        for (size_t i = 0; i < n; i++, done++)
            labels[done] = (width == 1 ? piece[i] : to_label(big_endian(piece + 4 * i))) - offset;
    }
    int status = byte_reader_finish(reader, err);
    if (status)
        return status;
    struct label_places places = {.first_byte = 4 + 4 * (uint64_t)header->num_dims, .width = width};
    return labels_check(labels, out->num_items, &places, &out->num_classes, err);
}

static int check_labels_header(const struct idx_header *header, size_t num_images, struct error *err)
{
    if (header->num_dims != 1 || header->type == IDX_F32)
        return FAIL(err, ERR_CORRUPT,
                    "byte 2: labels are whole numbers of one dimension; these are images, or something else");
    if (header->dims[0] != num_images)
        return FAIL(err, ERR_CORRUPT,
                    "byte 4: %u labels, but the image file holds %zu images: the two do not belong together",
                    header->dims[0], num_images);
    return OK;
}

/* Every plane of an item turned over its diagonal, in place. */
static int transpose_images(const struct dataset *out, void *x, struct error *err)
{
    int64_t side = out->dims[out->num_dims - 1];
    size_t n = (size_t)side, planes = out->num_items * out->item_size / (n * n);
    uint8_t *bytes = x;

    if (out->type != DATA_U8 || out->num_dims < 2 || out->dims[out->num_dims - 2] != side)
        return FAIL(err, ERR_INVALID, "transpose: only square images of bytes are turned; leave it out");
    for (size_t p = 0; p < planes; p++, bytes += n * n)
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < i; j++) {
                uint8_t swap = bytes[i * n + j];
                bytes[i * n + j] = bytes[j * n + i];
                bytes[j * n + i] = swap;
            }
    return OK;
}

static int decode_images(struct byte_reader *reader, const struct idx_args *args, struct dataset *out,
                         struct dataset_fill *fill, struct error *err)
{
    struct idx_header header;
    int status = idx_read_header(reader, &header, err);

    if (!status)
        status = set_item_dims(&header, out, err);
    if (!status)
        status = dataset_alloc(out, false, fill, err);
    if (!status)
        status = read_images(reader, &header, fill->x, err);
    if (!status && args->transpose)
        status = transpose_images(out, fill->x, err);
    return status;
}

static int decode_labels(struct byte_reader *reader, const struct idx_args *args, struct dataset *out,
                         struct dataset_fill *fill, struct error *err)
{
    struct idx_header header;
    int status = idx_read_header(reader, &header, err);

    if (!status)
        status = check_labels_header(&header, out->num_items, err);
    if (!status)
        status = read_labels(reader, &header, out, (int32_t)args->label_offset, fill->labels, err);
    return status;
}

int idx_decode(struct span images, struct span labels, const struct idx_args *args, struct dataset *out, int *culprit,
               struct error *err)
{
    static const struct idx_args plain;
    struct byte_reader reader;
    struct dataset_fill fill = {0};

    *culprit = 0;
    args = args ? args : &plain;
    int status = byte_reader_init(&reader, images, err);
    if (!status)
        status = decode_images(&reader, args, out, &fill, err);
    byte_reader_fini(&reader);
    if (!status) {
        *culprit = 1;
        status = byte_reader_init(&reader, labels, err);
        if (!status)
            status = decode_labels(&reader, args, out, &fill, err);
        byte_reader_fini(&reader);
    }
    if (status)
        dataset_fini(out);
    else
        dataset_seal(out);
    return status;
}

/* The last `from` in a file's name becomes `to` of the same length. */
static bool replace_last(char *path, const char *from, const char *to)
{
    char *slash = strrchr(path, '/'), *found = NULL;

    for (char *p = slash ? slash : path; (p = strstr(p, from)); p++)
        found = p;
    if (found)
        memcpy(found, to, strlen(to));
    return found != NULL;
}

char *idx_labels_path(const char *images_path)
{
    char *path = strdup(images_path);

    if (path && !replace_last(path, "images", "labels")) {
        free(path);
        return NULL;
    }
    if (path && !replace_last(path, "idx3", "idx1") && !replace_last(path, "idx4", "idx1"))
        replace_last(path, "idx2", "idx1");
    return path;
}

static void report(struct diags *diags, const char *path, const char *remedy, const struct error *err)
{
    const char *hint = err->status == ERR_MEMORY ? "take fewer items, or a machine with more memory" : remedy;

    diag_error(diags, (struct diag_place){path, 0, 0}, "%s; %s", err->message, hint);
}

static int load_pair(const char *images_path, const char *labels_path, const struct idx_args *args, const char *remedy,
                     struct dataset *out, struct diags *diags)
{
    struct blob *images = NULL, *labels = NULL;
    struct error images_err = ERROR_INIT, labels_err = ERROR_INIT, err = ERROR_INIT;
    int culprit = 0;
    int status = fs_map(images_path, &images, &images_err);
    int labels_status = fs_map(labels_path, &labels, &labels_err);

    if (status)
        report(diags, images_path, remedy, &images_err);
    if (labels_status)
        report(diags, labels_path, remedy, &labels_err);
    if (!status)
        status = labels_status;
    if (!status && (status = idx_decode(blob_span(images), blob_span(labels), args, out, &culprit, &err)))
        report(diags, culprit ? labels_path : images_path, remedy, &err);
    blob_unref(images);
    blob_unref(labels);
    return status;
}

int idx_load(const char *images_path, const char *labels_path, const struct idx_args *args, const char *remedy,
             struct dataset *out, struct diags *diags)
{
    char *guess = labels_path ? NULL : idx_labels_path(images_path);
    int status = ERR_INVALID;

    if (!labels_path && !guess)
        diag_error(
            diags, (struct diag_place){images_path, 0, 0},
            "cannot tell the label file from this name (it has no `images`): name it with an option of the source");
    else
        status = load_pair(images_path, labels_path ? labels_path : guess, args, remedy, out, diags);
    free(guess);
    return status;
}
