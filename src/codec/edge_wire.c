#include "codec/edge_wire.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "codec/edge_messages.h"
#include "codec/utf8.h"

enum { WIRE_VARINT = 0, WIRE_64BIT = 1, WIRE_BYTES = 2, WIRE_32BIT = 5 };

enum { VARINT_MAX = 10, FIELD_NUMBER_MAX = (1 << 29) - 1, FIELDS_MAX = 32 };

/* --- arena: everything that protobuf-c allocates for one message, given back at once --- */

union block {
    union block *next;
    max_align_t align;
};

struct edge_arena {
    union block *blocks;
};

static void *arena_alloc(void *context, size_t size)
{
    struct edge_arena *arena = context;
    union block *block = malloc(sizeof *block + size);

    if (!block)
        return NULL;
    block->next = arena->blocks;
    arena->blocks = block;
    return block + 1;
}

static void arena_keep(void *context, void *data)
{
    (void)context;
    (void)data; /* given back with the arena */
}

void edge_arena_free(struct edge_arena *arena)
{
    if (!arena)
        return;
    while (arena->blocks) {
        union block *block = arena->blocks;

        arena->blocks = block->next;
        free(block);
    }
    free(arena);
}

/* --- one field at a time --- */

struct reader {
    const uint8_t *start, *at, *end;
    const char *message; /* its name, for errors */
};

struct field {
    uint32_t number;
    int wire_type;
    struct span whole;   /* with its tag */
    struct span payload; /* of WIRE_BYTES */
};

static int malformed(const struct reader *reader, const char *what, struct error *err)
{
    return FAIL(err, ERR_INVALID, "%s, byte %zu: %s", reader->message, (size_t)(reader->at - reader->start), what);
}

static int read_varint(struct reader *reader, uint64_t *value, struct error *err)
{
    *value = 0;
    for (unsigned i = 0; i < VARINT_MAX; i++) {
        uint8_t byte;

        if (reader->at == reader->end)
            return malformed(reader, "ends inside a number", err);
        byte = *reader->at++;
        *value |= (uint64_t)(byte & 0x7f) << (7 * i);
        if (byte < 0x80)
            return OK;
    }
    return malformed(reader, "a number is longer than ten bytes", err);
}

/* Moves past the payload of a field of the given wire type. */
static int skip_payload(struct reader *reader, struct field *field, struct error *err)
{
    uint64_t size;
    int status;

    switch (field->wire_type) {
    case WIRE_VARINT:
        return read_varint(reader, &size, err);
    case WIRE_64BIT:
        size = 8;
        break;
    case WIRE_32BIT:
        size = 4;
        break;
    case WIRE_BYTES:
        if ((status = read_varint(reader, &size, err)))
            return status;
        break;
    default:
        return malformed(reader, "a wire type that proto3 does not have", err);
    }
    if (size > (uint64_t)(reader->end - reader->at))
        return malformed(reader, "a field is longer than the message", err);
    field->payload = span_of(reader->at, (size_t)size);
    reader->at += size;
    return OK;
}

static int next_field(struct reader *reader, struct field *field, struct error *err)
{
    const uint8_t *start = reader->at;
    uint64_t tag;
    int status = read_varint(reader, &tag, err);

    if (status)
        return status;
    if (tag >> 3 == 0 || tag >> 3 > FIELD_NUMBER_MAX)
        return malformed(reader, "a field number out of range", err);
    field->number = (uint32_t)(tag >> 3);
    field->wire_type = (int)(tag & 7);
    if ((status = skip_payload(reader, field, err)))
        return status;
    field->whole = span_of(start, (size_t)(reader->at - start));
    return OK;
}

static struct reader reader_of(const ProtobufCMessageDescriptor *type, struct span wire)
{
    const uint8_t *data = wire.data;

    return (struct reader){data, data, data ? data + wire.size : data, type->name};
}

/* --- checking a message against its descriptor --- */

static int expected_wire_type(const ProtobufCFieldDescriptor *known)
{
    switch (known->type) {
    case PROTOBUF_C_TYPE_FLOAT:
        return WIRE_32BIT;
    case PROTOBUF_C_TYPE_DOUBLE:
        return WIRE_64BIT;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return WIRE_BYTES;
    default:
        return WIRE_VARINT; /* edge.proto has no other types */
    }
}

static int check_string(const struct reader *reader, const ProtobufCFieldDescriptor *known, struct span text,
                        size_t string_max, struct error *err)
{
    if (text.size > string_max)
        return FAIL(err, ERR_INVALID, "%s.%s: %zu bytes, at most %zu are allowed", reader->message, known->name,
                    text.size, string_max);
    if (memchr(text.data, '\0', text.size))
        return FAIL(err, ERR_INVALID, "%s.%s: contains a NUL byte", reader->message, known->name);
    if (!utf8_is_valid(text))
        return FAIL(err, ERR_INVALID, "%s.%s: is not UTF-8", reader->message, known->name);
    return OK;
}

/* Checks the whole message; *head_size is what of it must be unpacked (known fields that are not bytes fields). */
static int check_message(const ProtobufCMessageDescriptor *type, struct span wire, size_t string_max, size_t *head_size,
                         struct error *err)
{
    struct reader reader = reader_of(type, wire);
    struct field field = {0};
    size_t ignored;
    int status = OK;

    *head_size = 0;
    while (!status && reader.at < reader.end) {
        const ProtobufCFieldDescriptor *known;

        if ((status = next_field(&reader, &field, err)))
            break;
        if (!(known = protobuf_c_message_descriptor_get_field(type, field.number)))
            continue;
        if (field.wire_type != expected_wire_type(known))
            return FAIL(err, ERR_INVALID, "%s.%s: has wire type %d", type->name, known->name, field.wire_type);
        if (known->type == PROTOBUF_C_TYPE_STRING)
            status = check_string(&reader, known, field.payload, string_max, err);
        else if (known->type == PROTOBUF_C_TYPE_MESSAGE) /* one level deep in edge.proto */
            status = check_message(known->descriptor, field.payload, string_max, &ignored, err);
        if (known->type != PROTOBUF_C_TYPE_BYTES)
            *head_size += field.whole.size;
    }
    return status;
}

/* --- unpacking --- */

struct split {
    uint8_t *head; /* what protobuf-c unpacks */
    size_t head_size;
    struct span bytes[FIELDS_MAX]; /* by index of the field in its descriptor */
};

/* A member of a oneof came after the bytes member: that one is no longer set. */
static void forget_siblings(const ProtobufCMessageDescriptor *type, const ProtobufCFieldDescriptor *known,
                            struct split *split)
{
    if (!(known->flags & PROTOBUF_C_FIELD_FLAG_ONEOF))
        return;
    for (unsigned i = 0; i < type->n_fields; i++)
        if ((type->fields[i].flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
            type->fields[i].quantifier_offset == known->quantifier_offset)
            split->bytes[i] = span_of(NULL, 0);
}

/* The message was checked before, so next_field cannot fail here. */
static void split_message(const ProtobufCMessageDescriptor *type, struct span wire, struct split *split)
{
    struct reader reader = reader_of(type, wire);
    struct field field = {0};

    while (reader.at < reader.end && next_field(&reader, &field, NULL) == OK) {
        const ProtobufCFieldDescriptor *known = protobuf_c_message_descriptor_get_field(type, field.number);

        if (!known)
            continue;
        forget_siblings(type, known, split);
        if (known->type == PROTOBUF_C_TYPE_BYTES) {
            split->bytes[known - type->fields] = field.payload;
        } else {
            memcpy(split->head + split->head_size, field.whole.data, field.whole.size);
            split->head_size += field.whole.size;
        }
    }
}

static void point_bytes_into_wire(const ProtobufCMessageDescriptor *type, const struct split *split,
                                  ProtobufCMessage *message)
{
    for (unsigned i = 0; i < type->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &type->fields[i];

        if (!split->bytes[i].data)
            continue;
        ProtobufCBinaryData *slot = (void *)((char *)message + field->offset);
        slot->data = (uint8_t *)split->bytes[i].data;
        slot->len = split->bytes[i].size;
        if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
            *(uint32_t *)(void *)((char *)message + field->quantifier_offset) = field->id;
    }
}

static int unpack_into(const ProtobufCMessageDescriptor *type, struct span wire, size_t head_size,
                       struct edge_arena *arena, ProtobufCMessage **message, struct error *err)
{
    ProtobufCAllocator allocator = {arena_alloc, arena_keep, arena};
    struct split split = {0};

    split.head = arena_alloc(arena, head_size);
    if (!split.head)
        return FAIL(err, ERR_MEMORY, "out of memory for a %s", type->name);
    split_message(type, wire, &split);
    *message = protobuf_c_message_unpack(type, &allocator, split.head_size, split.head);
    if (!*message)
        return FAIL(err, ERR_INVALID, "%s: cannot be unpacked", type->name);
    point_bytes_into_wire(type, &split, *message);
    return OK;
}

int edge_wire_unpack(const ProtobufCMessageDescriptor *type, struct span wire, size_t string_max,
                     ProtobufCMessage **message, struct edge_arena **arena, struct error *err)
{
    size_t head_size;
    int status;

    *arena = NULL;
    *message = NULL;
    if ((status = check_message(type, wire, string_max, &head_size, err)))
        return status;
    if (type->n_fields > FIELDS_MAX)
        return FAIL(err, ERR_INTERNAL, "%s has more than %d fields: raise FIELDS_MAX", type->name, FIELDS_MAX);
    if (head_size > EDGE_HEAD_MAX)
        return FAIL(err, ERR_INVALID, "%s: %zu bytes besides its bytes fields, at most %d are allowed", type->name,
                    head_size, EDGE_HEAD_MAX);
    if (!(*arena = calloc(1, sizeof **arena)))
        return FAIL(err, ERR_MEMORY, "out of memory for a %s", type->name);
    if ((status = unpack_into(type, wire, head_size, *arena, message, err))) {
        edge_arena_free(*arena);
        *arena = NULL;
    }
    return status;
}

/* --- packing --- */

static size_t write_varint(uint8_t *to, uint64_t value)
{
    size_t n = 0;

    for (; value >= 0x80; value >>= 7)
        to[n++] = (uint8_t)(value | 0x80);
    to[n++] = (uint8_t)value;
    return n;
}

int edge_wire_pack(const ProtobufCMessage *message, uint32_t weights_field, size_t weights_size, struct blob **out,
                   struct error *err)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    uint8_t announcement[2 * VARINT_MAX];
    size_t n = 0;

    if (weights_size > 0) {
        n = write_varint(announcement, (uint64_t)weights_field << 3 | WIRE_BYTES);
        n += write_varint(announcement + n, weights_size);
    }
    *out = blob_new(size + n);
    if (!*out)
        return FAIL(err, ERR_MEMORY, "out of memory for a %s", message->descriptor->name);
    protobuf_c_message_pack(message, blob_bytes(*out));
    memcpy((uint8_t *)blob_bytes(*out) + size, announcement, n);
    return OK;
}
