#include "data/byte_reader.h"

#include <stdlib.h>
#include <string.h>

enum {
    GZIP_WINDOW = 15 + 16,    /* zlib: expect a gzip header, check its CRC */
    FEED_MAX = 1 << 30,       /* zlib counts in 32 bits */
    RAW_WINDOW = -15,         /* no head */
    DEFLATE_MAX_RATIO = 1032, /* of deflate, from zlib's technical notes */
    FIRST_PIECE = 1 << 16
};

static const unsigned char *bytes_of(const struct byte_reader *reader)
{
    return reader->file.data;
}

static bool is_gzip(const unsigned char *bytes, size_t size)
{
    return size >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}

int byte_reader_init(struct byte_reader *reader, struct span file, struct error *err)
{
    memset(reader, 0, sizeof *reader);
    reader->file = file;
    reader->compressed = is_gzip(file.data, file.size);
    if (reader->compressed && inflateInit2(&reader->stream, GZIP_WINDOW) != Z_OK) {
        reader->compressed = false;
        return FAIL(err, ERR_MEMORY, "no memory to decompress");
    }
    return OK;
}

int byte_reader_init_deflate(struct byte_reader *reader, struct span data, struct error *err)
{
    memset(reader, 0, sizeof *reader);
    reader->file = data;
    if (inflateInit2(&reader->stream, RAW_WINDOW) != Z_OK)
        return FAIL(err, ERR_MEMORY, "no memory to decompress");
    reader->compressed = reader->raw = true;
    return OK;
}

void byte_reader_fini(struct byte_reader *reader)
{
    if (reader->compressed)
        inflateEnd(&reader->stream);
    reader->compressed = false;
}

uint64_t byte_reader_limit(const struct byte_reader *reader)
{
    uint64_t size = reader->file.size;

    return !reader->compressed ? size : size > UINT64_MAX / DEFLATE_MAX_RATIO ? UINT64_MAX : size * DEFLATE_MAX_RATIO;
}

/* After a gzip member: another one may follow, nothing else. */
static int next_member(struct byte_reader *reader, struct error *err)
{
    size_t left = reader->file.size - reader->taken;

    reader->ended = left == 0;
    if (reader->ended)
        return OK;
    if (!reader->raw && is_gzip(bytes_of(reader) + reader->taken, left))
        return inflateReset(&reader->stream) == Z_OK ? OK : FAIL(err, ERR_MEMORY, "no memory to decompress");
    return FAIL(err, ERR_CORRUPT, "byte %llu: %zu bytes of something else follow the %s data (at byte %zu of the file)",
                (unsigned long long)reader->offset, left, reader->raw ? "compressed" : "gzip", reader->taken);
}

/* One step of decompression into at most `size` bytes; *got may be 0. */
static int inflate_some(struct byte_reader *reader, unsigned char *out, size_t size, size_t *got, struct error *err)
{
    z_stream *z = &reader->stream;
    size_t left = reader->file.size - reader->taken;
    uInt in = (uInt)(left < FEED_MAX ? left : FEED_MAX);
    uInt room = (uInt)(size < FEED_MAX ? size : FEED_MAX);

    z->next_in = (z_const Bytef *)(uintptr_t)(bytes_of(reader) + reader->taken);
    z->avail_in = in;
    z->next_out = out;
    z->avail_out = room;
    int code = inflate(z, Z_NO_FLUSH);
    reader->taken += in - z->avail_in;
    *got = room - z->avail_out;
    reader->offset += *got;
    if (code == Z_STREAM_END)
        return next_member(reader, err);
    if (code == Z_OK)
        return OK;
    if (code == Z_BUF_ERROR)
        return FAIL(err, ERR_CORRUPT, "byte %llu: the gzip data breaks off here: the file of %zu bytes is cut short",
                    (unsigned long long)reader->offset, reader->file.size);
    if (code == Z_MEM_ERROR)
        return FAIL(err, ERR_MEMORY, "no memory to decompress");
    return FAIL(err, ERR_CORRUPT, "byte %llu: the gzip data is damaged (%s, at byte %zu of the file)",
                (unsigned long long)reader->offset, z->msg ? z->msg : "bad stream", reader->taken);
}

static int read_some(struct byte_reader *reader, unsigned char *out, size_t size, size_t *got, struct error *err)
{
    if (reader->compressed)
        return inflate_some(reader, out, size, got, err);
    size_t left = reader->file.size - reader->taken;
    *got = size < left ? size : left;
    if (*got > 0)
        memcpy(out, bytes_of(reader) + reader->taken, *got);
    reader->taken += *got;
    reader->offset += *got;
    reader->ended = reader->taken == reader->file.size;
    return OK;
}

int byte_reader_read_upto(struct byte_reader *reader, void *out, size_t size, size_t *got, struct error *err)
{
    for (*got = 0; *got < size && !reader->ended;) {
        size_t n = 0;
        int status = read_some(reader, (unsigned char *)out + *got, size - *got, &n, err);
        if (status)
            return status;
        *got += n;
        if (!reader->compressed && n == 0)
            reader->ended = true;
    }
    return OK;
}

int byte_reader_read(struct byte_reader *reader, void *out, size_t size, const char *what, struct error *err)
{
    size_t got;
    int status = byte_reader_read_upto(reader, out, size, &got, err);

    if (status || got == size)
        return status;
    return FAIL(err, ERR_CORRUPT, "byte %llu: the file ends in the middle of %s: %zu of %zu bytes are there",
                (unsigned long long)reader->offset, what, got, size);
}

/* Room doubles: what compressed data hold is not known before. */
static int read_growing(struct byte_reader *reader, size_t max, char **bytes, size_t *size, struct error *err)
{
    size_t room = reader->compressed ? FIRST_PIECE : reader->file.size, got = 0;

    for (*size = 0;; room *= 2) {
        room = room > max ? max : room;
        char *grown = realloc(*bytes, room + 2); /* one more than the bound, and the zero */
        if (!grown)
            return FAIL(err, ERR_MEMORY, "no memory for %zu bytes", room);
        *bytes = grown;
        int status = byte_reader_read_upto(reader, *bytes + *size, room + 1 - *size, &got, err);
        if (status)
            return status;
        *size += got;
        if (*size > max)
            return FAIL(err, ERR_TOO_LARGE, "more than %zu bytes (uncompressed); split the file", max);
        if (*size <= room)
            return OK;
    }
}

int byte_reader_read_all(struct byte_reader *reader, size_t max, struct blob **out, struct error *err)
{
    char *bytes = NULL;
    size_t size = 0;
    int status = read_growing(reader, max, &bytes, &size, err);

    *out = NULL;
    if (!status) {
        bytes[size] = '\0';
        *out = blob_adopt(bytes, size, free, bytes);
        if (!*out)
            status = FAIL(err, ERR_MEMORY, "out of memory");
    }
    if (status)
        free(bytes);
    return status;
}

int byte_reader_unpack(struct span file, size_t max, struct blob **out, struct error *err)
{
    struct byte_reader reader;
    int status = byte_reader_init(&reader, file, err);

    *out = NULL;
    if (!status)
        status = byte_reader_read_all(&reader, max, out, err);
    byte_reader_fini(&reader);
    return status;
}

int byte_reader_finish(struct byte_reader *reader, struct error *err)
{
    unsigned char extra;

    while (!reader->ended && !(reader->taken == reader->file.size && !reader->compressed)) {
        size_t got = 0;
        int status = read_some(reader, &extra, 1, &got, err);
        if (status)
            return status;
        if (got > 0)
            return FAIL(err, ERR_CORRUPT, "byte %llu: the data should end here, but more follows",
                        (unsigned long long)(reader->offset - 1));
    }
    return OK;
}
