/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_selector_ops flosim_selection_fedavg;
extern const struct flosim_selector_ops flosim_selection_all_clients;
extern const struct flosim_selector_ops flosim_selection_random_subset;
extern const struct flosim_selector_ops flosim_selection_fedasync;

const struct flosim_selector_ops *const selections[] = {
    &flosim_selection_fedavg,
    &flosim_selection_all_clients,
    &flosim_selection_random_subset,
    &flosim_selection_fedasync,
    NULL,
};

const struct flosim_selector_ops *selection_find(const char *name)
{
    for (size_t i = 0; selections[i]; i++)
        if (strcmp(selections[i]->name, name) == 0)
            return selections[i];
    return NULL;
}
