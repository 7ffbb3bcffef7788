#include "sim/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct shared {
    size_t size; /* of the mapping */
    int notify_fd;
    struct shared_sizes sizes;
    size_t clients_at, rounds_at, slots_at; /* byte offsets */
    _Atomic uint32_t link_changes;
    struct leader_block leader;
};

enum { LINE = 64 }; /* parts start on cache lines of their own */

static size_t place(size_t *end, size_t size)
{
    size_t at = (*end + LINE - 1) / LINE * LINE;

    *end = at + size;
    return at;
}

static void init_clients(struct shared *shared, int notify_fd)
{
    for (size_t i = 0; i < shared->sizes.num_clients; i++) {
        struct client_block *client = shared_client(shared, i);

        probes_init(&client->probes, notify_fd);
        atomic_store(&client->selected_round, -1);
    }
}

int shared_new(struct shared **out, const struct shared_sizes *sizes, int notify_fd, struct error *err)
{
    struct shared parts = {.notify_fd = notify_fd, .sizes = *sizes};
    size_t end = sizeof parts;

    parts.clients_at = place(&end, sizes->num_clients * sizeof(struct client_block));
    parts.rounds_at = place(&end, sizes->max_rounds * sizeof(struct round_record));
    parts.slots_at = place(&end, slots_size(sizes->num_slots));
    parts.size = end;
    void *memory = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return FAIL(err, ERR_MEMORY, "cannot map %zu bytes of shared memory: %s", end, strerror(errno));

    struct shared *shared = memory;
    memcpy(shared, &parts, sizeof parts); /* the rest is zero already */
    probes_init(&shared->leader.probes, notify_fd);
    atomic_store(&shared->leader.round, -1);
    atomic_store(&shared->leader.selected_round, -1);
    init_clients(shared, notify_fd);
    slots_init(shared_slots(shared), sizes->num_slots);
    *out = shared;
    return OK;
}

void shared_free(struct shared *shared)
{
    if (shared)
        munmap(shared, shared->size);
}

size_t shared_num_clients(const struct shared *shared)
{
    return shared->sizes.num_clients;
}

size_t shared_max_rounds(const struct shared *shared)
{
    return shared->sizes.max_rounds;
}

static void *part(struct shared *shared, size_t at)
{
    return (char *)shared + at;
}

struct leader_block *shared_leader(struct shared *shared)
{
    return &shared->leader;
}

struct client_block *shared_client(struct shared *shared, size_t index)
{
    return (struct client_block *)part(shared, shared->clients_at) + index;
}

struct round_record *shared_round(struct shared *shared, size_t i)
{
    return (struct round_record *)part(shared, shared->rounds_at) + i;
}

struct slots *shared_slots(struct shared *shared)
{
    return part(shared, shared->slots_at);
}

_Atomic uint32_t *shared_link_changes(struct shared *shared)
{
    return &shared->link_changes;
}

void shared_forget_leader(struct shared *shared)
{
    struct leader_block *leader = &shared->leader;

    atomic_store(&leader->rest_port, 0);
    atomic_store(&leader->broker_is_up, 0);
    atomic_store(&leader->active_clients, 0);
    for (size_t i = 0; i < shared->sizes.num_clients; i++) {
        atomic_store(&shared_client(shared, i)->active, 0);
        atomic_store(&shared_client(shared, i)->is_asked, 0);
    }
}

void shared_notify(struct shared *shared)
{
    static const uint64_t one = 1;
    ssize_t written;

    do {
        written = write(shared->notify_fd, &one, sizeof one);
    } while (written < 0 && errno == EINTR);
}

slot_owner shared_slot_owner(const struct client_block *client, size_t index)
{
    return (slot_owner)atomic_load(&client->starts) << 32 | (slot_owner)(index + 1);
}
