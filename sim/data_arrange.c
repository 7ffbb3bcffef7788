#include "sim/data_arrange.h"

#include <stdlib.h>
#include <string.h>

static const uint32_t absent = UINT32_MAX;

/* Number the dealt items in the order in which they come up; returns how many there are. */
static uint32_t number_items(const struct partition *partition, size_t num_items, uint32_t *new_number)
{
    size_t dealt = partition->first[partition->num_clients];
    uint32_t next = 0;

    for (size_t i = 0; i < num_items; i++)
        new_number[i] = absent;
    for (size_t i = 0; i < dealt; i++)
        if (new_number[partition->items[i]] == absent)
            new_number[partition->items[i]] = next++;
    return next;
}

static void copy_items(const struct dataset *from, const uint32_t *new_number, const struct dataset_fill *to)
{
    size_t item_bytes = from->item_size * data_type_size(from->type);

    for (size_t i = 0; i < from->num_items; i++) {
        size_t at = new_number[i];

        if (new_number[i] == absent)
            continue;
        memcpy((char *)to->x + at * item_bytes, (const char *)from->x + i * item_bytes, item_bytes);
        to->labels[at] = from->labels[i];
        if (from->groups)
            to->groups[at] = from->groups[i];
    }
}

int data_arrange(struct dataset *dataset, struct partition *partition, struct error *err)
{
    uint32_t *new_number = malloc((dataset->num_items + 1) * sizeof *new_number);
    struct dataset arranged = *dataset;
    struct dataset_fill fill = {0};

    if (!new_number)
        return FAIL(err, ERR_MEMORY, "out of memory for %zu items", dataset->num_items);
    arranged.memory = NULL;
    arranged.num_items = number_items(partition, dataset->num_items, new_number);
    int status = dataset_alloc(&arranged, dataset->groups != NULL, &fill, err);
    if (status == OK) {
        copy_items(dataset, new_number, &fill);
        for (size_t i = 0; i < partition->first[partition->num_clients]; i++)
            partition->items[i] = new_number[partition->items[i]];
        dataset_seal(&arranged);
        dataset_fini(dataset);
        *dataset = arranged;
    }
    free(new_number);
    return status;
}
