/* Puts a dealt data set into the order of its clients. */
#ifndef FLOSIM_SIM_DATA_ARRANGE_H
#define FLOSIM_SIM_DATA_ARRANGE_H

#include "data/partition.h"

/* Replace the data set by one that holds only the items that were dealt, each client's behind one another, and rename
 * the items in the partition to match: views give the same items as before. A client then touches a few pages of its
 * own instead of pages all over the data that are counted against it, and its cache lines hold nothing of others. An
 * item that several clients have stays once. On failure nothing changed. */
int data_arrange(struct dataset *dataset, struct partition *partition, struct error *err);

#endif
