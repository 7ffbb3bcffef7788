/* The data that a worker trains on: the folders of datasets_dir_path, or the one set that the host lends. Adverts are
 * made at the start, from the data as the folders say, and never change; data is kept from when it is first asked for,
 * as the sessions of late want it cut. */
#ifndef FLOSIM_WORKER_DATASETS_H
#define FLOSIM_WORKER_DATASETS_H

#include "codec/advert.h"
#include "data/dataset.h"
#include "data/loader_args.h"
#include "util/log.h"
#include "worker/worker.h"

struct datasets;

enum { DATASETS_MAX = 64 }; /* as many as an advert may carry */

/* A client's items, cut in two: the first num_train are trained on, the rest are held out for validation. */
struct data_parts {
    struct data_view all;
    size_t num_train, num_held_out;
};

/* `folder` may be NULL where the host lends a set. A data set that cannot be read is logged and left out; ERR_SETUP
 * where none of several can, or datasets_dir_path itself cannot. Blocks on files. All arguments are borrowed. */
int datasets_new(struct datasets **out, const char *folder, const struct worker_host *host, const struct log *log,
                 struct error *err);
void datasets_free(struct datasets *datasets);

/* Any thread. */
size_t datasets_count(const struct datasets *datasets);
const struct dataset_advert *datasets_advert(const struct datasets *datasets, size_t i);

/* Compute thread only; reads the files at the first use and keeps them in the DATASETS_READINGS ways that were last
 * wanted; *out is good until the next call. `loader`: how the session wants the data cut (a set that the host lends is
 * cut already); what means nothing for the files is logged when they are read. ERR_NOT_FOUND names the sets there are.
 */
enum { DATASETS_READINGS = 2 };
int datasets_use(struct datasets *datasets, const char *id, const struct loader_args *loader, struct data_parts *out,
                 struct error *err);

/* How many of n items are trained on when the fraction f is held out: floor((1 - f) n). */
size_t datasets_split(size_t n, double held_out_fraction);

#endif
