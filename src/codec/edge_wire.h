/* Protobuf bytes of EdgeService's messages, between protobuf-c's structs and the plain ones of edge_messages.h.
 * What protobuf-c alone would not give: bytes fields that stay where they were received, strings that are checked, and
 * bounds on memory. Only edge_messages.c uses this. Pure functions; any thread. */
#ifndef FLOSIM_CODEC_EDGE_WIRE_H
#define FLOSIM_CODEC_EDGE_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "util/error.h"
#include "util/span.h"

enum {
    EDGE_ID_MAX = 256,          /* bytes of an id: session, model, dataset, client, file */
    EDGE_TEXT_MAX = 64 * 1024,  /* bytes of a free text */
    EDGE_HEAD_MAX = 256 * 1024, /* all fields of a message that are not bytes fields, together */
};

struct edge_arena;

/* Fills *message (of `type`) and *arena, which owns it. Top-level bytes fields point into `wire`; one that is absent
 * has data NULL. A later duplicate wins, unknown fields are skipped.
 *   string_max   longest string accepted, in bytes; strings are UTF-8 without NUL
 * ERR_INVALID says which field at which byte; ERR_MEMORY. On error *arena is NULL. */
int edge_wire_unpack(const ProtobufCMessageDescriptor *type, struct span wire, size_t string_max,
                     ProtobufCMessage **message, struct edge_arena **arena, struct error *err);

/* Returns new blob with the packed message; when weights_size > 0 it ends with tag and length of the bytes field
 * `weights_field`, for the weights to follow. */
int edge_wire_pack(const ProtobufCMessage *message, uint32_t weights_field, size_t weights_size, struct blob **out,
                   struct error *err);

#endif
