#include "sim/link_pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MS ((uint64_t)1000000)

enum {
    MAX_READS = 16,      /* in one go: others want their turn */
    PACKET_BYTES = 1448, /* of TCP over Ethernet: pieces are not smaller */
    MAX_SHAPED_CHUNK = 65536,
    BURST_MS = 10,      /* that a limited line may catch up when it is served late */
    CHUNKS_PER_S = 200, /* in which a limited line is served */
};

struct link_segment {
    struct link_segment *next;
    uint64_t release_ns;
    size_t size, sent;
    unsigned char bytes[];
};

void pipe_init(struct link_pipe *pipe, int from, int to, enum link_direction direction, const struct rng *rng)
{
    *pipe = (struct link_pipe){.from = from, .to = to, .direction = direction, .rng = *rng};
}

static void drop_first(struct link_pipe *pipe)
{
    struct link_segment *first = pipe->first;

    pipe->first = first->next;
    if (!pipe->first)
        pipe->last = NULL;
    pipe->queued -= sizeof *first + first->size;
    free(first);
}

void pipe_fini(struct link_pipe *pipe)
{
    while (pipe->first)
        drop_first(pipe);
}

/* --- the line --- */

static double rate_of(const struct link_pipe *pipe, const struct link_shape *shape)
{
    double rate = shape->rate[pipe->direction];

    return shape->drip > 0 && (rate <= 0 || shape->drip < rate) ? shape->drip : rate;
}

static size_t chunk_of(const struct link_pipe *pipe, const struct link_shape *shape)
{
    double bytes = rate_of(pipe, shape) / CHUNKS_PER_S;

    if (shape->drip > 0)
        return 1;
    if (link_shape_is_plain(shape) || shape->is_half_open)
        return LINK_CHUNK;
    return bytes <= 0 || bytes > MAX_SHAPED_CHUNK ? MAX_SHAPED_CHUNK
           : bytes < PACKET_BYTES                 ? PACKET_BYTES
                                                  : (size_t)bytes;
}

static bool line_is_free(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    return rate_of(pipe, shape) <= 0 || pipe->line_free_ns <= now_ns;
}

/* When `bytes` that the line gets now have left it. */
static uint64_t leave_line(struct link_pipe *pipe, const struct link_shape *shape, size_t bytes, uint64_t now_ns)
{
    double rate = rate_of(pipe, shape);
    uint64_t earliest = now_ns > BURST_MS * MS ? now_ns - BURST_MS * MS : 0;

    if (rate <= 0)
        return now_ns;
    if (pipe->line_free_ns < earliest)
        pipe->line_free_ns = earliest;
    pipe->line_free_ns += (uint64_t)((double)bytes / rate * 1e9);
    return pipe->line_free_ns;
}

static uint64_t release_of(struct link_pipe *pipe, const struct link_shape *shape, size_t bytes, uint64_t now_ns)
{
    double delay_s = shape->latency_s + link_stall_s(shape, bytes, &pipe->rng);

    if (shape->jitter_s > 0)
        delay_s += shape->jitter_s * rng_uniform(&pipe->rng);
    uint64_t release_ns = leave_line(pipe, shape, bytes, now_ns) + (uint64_t)(delay_s * 1e9);
    if (release_ns < pipe->last_release_ns)
        release_ns = pipe->last_release_ns;
    pipe->last_release_ns = release_ns;
    return release_ns;
}

/* --- moving bytes --- */

static bool may_read(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    bool has_room = link_shape_is_plain(shape) ? !pipe->first : pipe->queued < LINK_MAX_QUEUED;

    return !pipe->from_ended && !shape->is_partition && has_room && line_is_free(pipe, shape, now_ns);
}

static bool would_block(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* How much of it was taken; -1: the receiver is gone. */
static ssize_t give(struct link_pipe *pipe, const unsigned char *bytes, size_t size)
{
    size_t given = 0;

    while (given < size && pipe->to >= 0) {
        ssize_t n = send(pipe->to, bytes + given, size - given, MSG_NOSIGNAL);

        if (n < 0 && !would_block())
            return -1;
        if (n < 0) {
            pipe->is_blocked = true;
            return (ssize_t)given;
        }
        given += (size_t)n;
    }
    return (ssize_t)size;
}

static void enqueue(struct link_pipe *pipe, struct link_segment *segment, uint64_t release_ns)
{
    segment->next = NULL;
    segment->release_ns = release_ns;
    if (pipe->last)
        pipe->last->next = segment;
    else
        pipe->first = segment;
    pipe->last = segment;
    pipe->queued += sizeof *segment + segment->size;
}

static struct link_segment *segment_new(const unsigned char *bytes, size_t size)
{
    struct link_segment *segment = malloc(sizeof *segment + size);

    if (segment) {
        segment->size = size;
        segment->sent = 0;
        memcpy(segment->bytes, bytes, size);
    }
    return segment;
}

/* What was read goes on at once, or waits. */
static enum pipe_status take(struct link_pipe *pipe, const struct link_shape *shape, const unsigned char *bytes,
                             size_t size, uint64_t now_ns)
{
    if (pipe->to < 0 || (shape->is_half_open && pipe->direction == LINK_UP)) {
        pipe->has_lost = true;
        return PIPE_OK;
    }
    uint64_t release_ns = link_shape_is_plain(shape) ? now_ns : release_of(pipe, shape, size, now_ns);
    ssize_t given = pipe->first || release_ns > now_ns ? 0 : give(pipe, bytes, size);
    if (given < 0)
        return PIPE_TO_BROKEN;
    if ((size_t)given == size)
        return PIPE_OK;
    struct link_segment *rest = segment_new(bytes + given, size - (size_t)given);
    if (!rest)
        return PIPE_FROM_BROKEN; /* bytes of a stream cannot be left out: the connection ends */
    enqueue(pipe, rest, release_ns);
    return PIPE_OK;
}

static enum pipe_status deliver(struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    pipe->is_blocked = false;
    while (pipe->first && pipe->first->release_ns <= now_ns && !pipe->is_blocked && !shape->is_partition) {
        struct link_segment *first = pipe->first;
        ssize_t given = give(pipe, first->bytes + first->sent, first->size - first->sent);

        if (given < 0)
            return PIPE_TO_BROKEN;
        first->sent += (size_t)given;
        if (first->sent == first->size)
            drop_first(pipe);
    }
    return PIPE_OK;
}

static enum pipe_status collect(struct link_pipe *pipe, const struct link_shape *shape, unsigned char *scratch,
                                uint64_t now_ns)
{
    enum pipe_status status = PIPE_OK;

    for (int i = 0; i < MAX_READS && status == PIPE_OK && may_read(pipe, shape, now_ns); i++) {
        size_t chunk = chunk_of(pipe, shape);
        ssize_t n = recv(pipe->from, scratch, chunk, 0);

        if (n < 0)
            return would_block() ? PIPE_OK : PIPE_FROM_BROKEN;
        if (n == 0)
            pipe->from_ended = true;
        else
            status = take(pipe, shape, scratch, (size_t)n, now_ns);
        if (n > 0 && (size_t)n < chunk)
            break; /* it was all there was: spares a call that would say so */
    }
    return status;
}

static enum pipe_status pass_end_on(struct link_pipe *pipe, const struct link_shape *shape)
{
    if (!pipe->from_ended || pipe->end_told || pipe->first || shape->is_partition)
        return PIPE_OK;
    if (shape->is_half_open || pipe->to < 0) {
        pipe->has_lost = true;
        return PIPE_OK;
    }
    pipe->end_told = true;
    return shutdown(pipe->to, SHUT_WR) ? PIPE_TO_BROKEN : PIPE_OK;
}

enum pipe_status pipe_run(struct link_pipe *pipe, const struct link_shape *shape, unsigned char *scratch,
                          uint64_t now_ns)
{
    enum pipe_status status = deliver(pipe, shape, now_ns);

    if (status == PIPE_OK)
        status = collect(pipe, shape, scratch, now_ns);
    if (status == PIPE_OK)
        status = pass_end_on(pipe, shape);
    return status;
}

void pipe_reshape(struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    uint64_t latest = now_ns + (uint64_t)((shape->latency_s + shape->jitter_s) * 1e9);

    for (struct link_segment *segment = pipe->first; segment; segment = segment->next)
        if (segment->release_ns > latest)
            segment->release_ns = latest;
    if (pipe->last_release_ns > latest)
        pipe->last_release_ns = latest;
    if (pipe->line_free_ns > now_ns)
        pipe->line_free_ns = now_ns;
}

/* --- waiting --- */

bool pipe_wants_input(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    return may_read(pipe, shape, now_ns);
}

bool pipe_wants_output(const struct link_pipe *pipe, const struct link_shape *shape)
{
    return pipe->is_blocked && pipe->to >= 0 && !shape->is_partition;
}

uint64_t pipe_due_ns(const struct link_pipe *pipe, const struct link_shape *shape, uint64_t now_ns)
{
    uint64_t due = LINK_NEVER;

    if (shape->is_partition)
        return due;
    if (pipe->first && !pipe->is_blocked)
        due = pipe->first->release_ns;
    if (!pipe->from_ended && pipe->queued < LINK_MAX_QUEUED && !line_is_free(pipe, shape, now_ns) &&
        pipe->line_free_ns < due)
        due = pipe->line_free_ns;
    return due;
}
