/* Reads a file's image from front to back, plain or gzip (RFC 1952) by its first bytes. Pure: it knows only the span
 * and never gives more than it is asked for, so a decompression bomb costs nothing. Errors begin with `byte N:`, the
 * place in the uncompressed data. One thread. */
#ifndef FLOSIM_DATA_BYTE_READER_H
#define FLOSIM_DATA_BYTE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#include "util/error.h"
#include "util/span.h"

struct byte_reader {
    struct span file; /* borrowed */
    size_t taken;     /* of the file */
    uint64_t offset;  /* in the uncompressed data */
    bool compressed, raw, ended;
    z_stream stream;
};

int byte_reader_init(struct byte_reader *reader, struct span file, struct error *err);

/* Data compressed without a head (RFC 1951), as in a zip file. */
int byte_reader_init_deflate(struct byte_reader *reader, struct span data, struct error *err);
void byte_reader_fini(struct byte_reader *reader);

/* Fill `out` with exactly `size` bytes; `what` names them in the message ("the images"). ERR_CORRUPT where the data
 * ends before or the compressed stream is damaged. */
int byte_reader_read(struct byte_reader *reader, void *out, size_t size, const char *what, struct error *err);

/* Fill `out` with up to `size` bytes; *got is less only where the data ends. */
int byte_reader_read_upto(struct byte_reader *reader, void *out, size_t size, size_t *got, struct error *err);

/* All of it in a new blob, with a zero byte after its end (which blob_size does not count); ERR_TOO_LARGE where that is
 * more than `max` bytes. */
int byte_reader_read_all(struct byte_reader *reader, size_t max, struct blob **out, struct error *err);

/* The same for a file's image. */
int byte_reader_unpack(struct span file, size_t max, struct blob **out, struct error *err);

/* Check that nothing follows (and the gzip checksum). ERR_CORRUPT otherwise. */
int byte_reader_finish(struct byte_reader *reader, struct error *err);

/* The most uncompressed bytes that the file can hold: its size, or what gzip's best ratio allows. */
uint64_t byte_reader_limit(const struct byte_reader *reader);

#endif
