#include "net/edge_server_call.h"

static int begin_upload(struct edge_call *call, const struct upload_part *part, struct error *err)
{
    const struct edge_handlers *handlers = &call->server->handlers;
    int status;

    if (!part->model_id)
        return FAIL(err, ERR_INVALID, "StreamFile: the first message must be the metadata");
    if (!handlers->upload_begin)
        return FAIL(err, ERR_UNIMPLEMENTED, "StreamFile is not served here");
    status = handlers->upload_begin(handlers->context, part->model_id, part->file_name, &call->upload, err);
    call->upload_open = status == OK;
    return status;
}

int edge_call_upload_part(struct edge_call *call, struct error *err)
{
    struct upload_part part;
    int status;

    if (!call->wire)
        return FAIL(err, ERR_INVALID, "StreamFile: the stream ended before the metadata");
    if ((status = edge_decode_upload(blob_span(call->wire), &part, err)))
        return status;
    if (!call->upload_open)
        status = begin_upload(call, &part, err);
    else if (part.model_id)
        status = FAIL(err, ERR_INVALID, "StreamFile: metadata a second time");
    else
        status = call->server->handlers.upload_chunk(call->upload, part.chunk, err);
    edge_arena_free(part.arena);
    return status;
}

int edge_call_upload_end(struct edge_call *call, bool whole, struct error *err)
{
    int status;

    if (!call->upload_open)
        return OK;
    call->upload_open = false;
    status = call->server->handlers.upload_end(call->upload, whole, err);
    if (!whole)
        return FAIL(err, ERR_CANCELLED, "the upload was broken off");
    if (!status)
        status = edge_encode_text("stored", &call->head, err);
    return status;
}
