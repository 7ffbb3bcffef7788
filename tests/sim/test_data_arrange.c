#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "sim/data_arrange.h"

enum { ITEMS = 6 };

/* Item i is the two bytes {i, 10 + i}, its label 100 + i, its group 200 + i. */
static void make(struct dataset *dataset)
{
    struct dataset_fill fill;

    *dataset = (struct dataset){.num_items = ITEMS, .num_dims = 1, .dims = {2}, .type = DATA_U8, .num_classes = 3};
    cr_assert_eq(dataset_alloc(dataset, true, &fill, NULL), OK);
    for (int i = 0; i < ITEMS; i++) {
        memcpy((char *)fill.x + 2 * i, (char[]){(char)i, (char)(10 + i)}, 2);
        fill.labels[i] = 100 + i;
        fill.groups[i] = 200 + i;
    }
}

Test(data_arrange, views_give_the_same_items_from_fewer_places)
{
    struct dataset dataset;
    static const uint32_t dealt[] = {5, 2, 0, 2}; /* item 2 has two owners; 1, 3 and 4 none */
    struct partition partition = {.num_clients = 2};

    make(&dataset);
    partition.items = malloc(sizeof dealt);
    partition.first = malloc(3 * sizeof *partition.first);
    memcpy(partition.items, dealt, sizeof dealt);
    memcpy(partition.first, (size_t[]){0, 2, 4}, 3 * sizeof *partition.first);
    cr_assert_eq(data_arrange(&dataset, &partition, NULL), OK);
    cr_expect_eq(dataset.num_items, 3);
    for (size_t i = 0; i < 4; i++) {
        uint32_t at = partition.items[i];

        cr_assert_lt(at, 3);
        cr_expect_eq(((const char *)dataset.x)[2 * at], (char)dealt[i]);
        cr_expect_eq(((const char *)dataset.x)[2 * at + 1], (char)(10 + dealt[i]));
        cr_expect_eq(dataset.labels[at], (int32_t)(100 + dealt[i]));
        cr_expect_eq(dataset.groups[at], (int32_t)(200 + dealt[i]));
    }
    cr_expect_eq(partition.items[0], 0, "the first client's items come first");
    cr_expect_eq(partition.items[1], 1);
    partition_fini(&partition);
    dataset_fini(&dataset);
}
