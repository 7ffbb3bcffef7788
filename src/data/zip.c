#include "data/zip.h"

#include <string.h>
#include <zlib.h>

#include "data/byte_reader.h"

enum { END_SIZE = 22, ENTRY_SIZE = 46, LOCAL_SIZE = 30, COMMENT_MAX = 65535, STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

/* The end record is the last thing in the file but for a comment. */
static int find_end(struct span archive, const unsigned char **end, struct error *err)
{
    const unsigned char *bytes = archive.data;
    size_t most = archive.size < END_SIZE + COMMENT_MAX ? archive.size : END_SIZE + COMMENT_MAX;

    for (size_t back = END_SIZE; back <= most; back++) {
        *end = bytes + archive.size - back;
        if (memcmp(*end, "PK\5\6", 4) == 0 && u16(*end + 20) == back - END_SIZE)
            return OK;
    }
    return FAIL(
        err, ERR_CORRUPT,
        "byte %zu: no end of a zip archive: the file is cut short, or something else (an .npz is a zip archive)",
        archive.size);
}

struct member {
    uint32_t method, flags, crc, packed, size, local;
};

static int find_member(struct span archive, const char *name, struct member *out, int *found, struct error *err)
{
    const unsigned char *bytes = archive.data, *end = bytes;
    int status = find_end(archive, &end, err);

    *found = 0;
    if (status)
        return status;
    uint64_t at = u32(end + 16), left = u16(end + 10), stop = (uint64_t)(end - bytes);
    if (at == UINT32_MAX || left == 0xffff)
        return FAIL(err, ERR_UNIMPLEMENTED, "a zip64 archive of 4 GiB or more; split it, or write safetensors");
    for (; left > 0; left--) {
        const unsigned char *entry = bytes + at;
        if (at + ENTRY_SIZE > stop || memcmp(entry, "PK\1\2", 4) != 0)
            return FAIL(err, ERR_CORRUPT, "byte %llu: the zip archive's directory is damaged", (unsigned long long)at);
        size_t length = u16(entry + 28);
        uint64_t next = at + ENTRY_SIZE + length + u16(entry + 30) + u16(entry + 32);
        if (next > stop)
            return FAIL(err, ERR_CORRUPT, "byte %llu: the zip archive's directory is damaged", (unsigned long long)at);
        if (length == strlen(name) && memcmp(entry + ENTRY_SIZE, name, length) == 0) {
            *out = (struct member){.method = u16(entry + 10),
                                   .flags = u16(entry + 8),
                                   .crc = u32(entry + 16),
                                   .packed = u32(entry + 20),
                                   .size = u32(entry + 24),
                                   .local = u32(entry + 42)};
            *found = 1;
            return OK;
        }
        at = next;
    }
    return OK;
}

/* The member's packed bytes: behind its local head, whose name and extras have lengths of their own. */
static int packed_bytes(struct span archive, const struct member *member, struct span *out, struct error *err)
{
    const unsigned char *bytes = archive.data;
    uint64_t at = member->local;

    if (member->flags & ENCRYPTED || (member->method != STORED && member->method != DEFLATED))
        return FAIL(
            err, ERR_UNIMPLEMENTED,
            "byte %llu: the member is encrypted or packed by method %u; stored and deflated ones are read: write "
            "it with numpy.savez or numpy.savez_compressed",
            (unsigned long long)at, member->method);
    if (at + LOCAL_SIZE > archive.size || memcmp(bytes + at, "PK\3\4", 4) != 0)
        return FAIL(err, ERR_CORRUPT, "byte %llu: no member of a zip archive begins here", (unsigned long long)at);
    at += LOCAL_SIZE + u16(bytes + at + 26) + u16(bytes + at + 28);
    if (member->packed == UINT32_MAX || member->size == UINT32_MAX)
        return FAIL(err, ERR_UNIMPLEMENTED, "a zip64 archive of 4 GiB or more; split it, or write safetensors");
    if (at + member->packed > archive.size)
        return FAIL(err, ERR_CORRUPT, "byte %llu: the member of %u bytes does not fit a file of %zu bytes",
                    (unsigned long long)at, member->packed, archive.size);
    *out = span_of(bytes + at, member->packed);
    return OK;
}

static int unpack(const struct member *member, struct span packed, size_t max, struct blob **out, struct error *err)
{
    struct byte_reader reader = {.file = packed};
    size_t most = member->size < max ? member->size : max;
    int status = member->method == DEFLATED ? byte_reader_init_deflate(&reader, packed, err) : OK;

    if (!status)
        status = byte_reader_read_all(&reader, most, out, err);
    byte_reader_fini(&reader);
    return status;
}

static uint32_t crc_of(struct span bytes)
{
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), bytes.data, bytes.size);
}

int zip_read(struct span archive, const char *name, size_t max, struct blob **out, uint64_t *first_byte,
             struct error *err)
{
    struct member member;
    struct span packed = {0};
    int found;
    int status = find_member(archive, name, &member, &found, err);

    *out = NULL;
    if (status || !found)
        return status;
    status = packed_bytes(archive, &member, &packed, err);
    if (status)
        return status;
    *first_byte = (uint64_t)((const char *)packed.data - (const char *)archive.data);
    status = unpack(&member, packed, max, out, err);
    if (!status && (blob_size(*out) != member.size || crc_of(blob_span(*out)) != member.crc))
        status = FAIL(err, ERR_CORRUPT, "its size or check sum differs from the archive's directory: it is damaged");
    if (status) {
        blob_unref(*out);
        *out = NULL;
        return error_context(err, status, "byte %llu: member %s", (unsigned long long)*first_byte, name);
    }
    return OK;
}
