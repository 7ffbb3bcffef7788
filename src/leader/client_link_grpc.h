/* The gRPC member of client_link, on net/edge_client. Loop thread only. */
#ifndef FLOSIM_LEADER_CLIENT_LINK_GRPC_H
#define FLOSIM_LEADER_CLIENT_LINK_GRPC_H

#include "leader/roster.h"
#include "net/edge_client.h"

struct grpc_links {
    struct edge_client *client; /* borrowed */
    size_t chunk_size;          /* of StreamFile, in bytes */
};

/* A factory for the roster; `links` is borrowed. */
struct link_factory grpc_link_factory(struct grpc_links *links);

#endif
