/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_selector_ops flosim_selection_fedavg;
extern const struct flosim_selector_ops flosim_selection_all_clients;
extern const struct flosim_selector_ops flosim_selection_random_subset;
extern const struct flosim_selector_ops flosim_selection_fedasync;
extern const struct flosim_selector_ops flosim_selection_fedat;
extern const struct flosim_selector_ops flosim_selection_tifl;
extern const struct flosim_selector_ops flosim_selection_tifl_lite;
extern const struct flosim_selector_ops flosim_selection_haccs;
extern const struct flosim_selector_ops flosim_selection_haccs_lite;
extern const struct flosim_selector_ops flosim_selection_high_loss;
extern const struct flosim_selector_ops flosim_selection_low_loss;
extern const struct flosim_selector_ops flosim_selection_probabilistic_high_loss;
extern const struct flosim_selector_ops flosim_selection_odd_even;
extern const struct flosim_selector_ops flosim_selection_tiered_roundrobin;
extern const struct flosim_selector_ops flosim_selection_reliable_fedavg;
extern const struct flosim_selector_ops flosim_selection_oort;
extern const struct flosim_selector_ops flosim_selection_power_of_choice;

const struct flosim_selector_ops *const selections[] = {
    &flosim_selection_fedavg,          &flosim_selection_all_clients,
    &flosim_selection_random_subset,   &flosim_selection_fedasync,
    &flosim_selection_fedat,           &flosim_selection_tifl,
    &flosim_selection_tifl_lite,       &flosim_selection_haccs,
    &flosim_selection_haccs_lite,      &flosim_selection_high_loss,
    &flosim_selection_low_loss,        &flosim_selection_probabilistic_high_loss,
    &flosim_selection_odd_even,        &flosim_selection_tiered_roundrobin,
    &flosim_selection_reliable_fedavg, &flosim_selection_oort,
    &flosim_selection_power_of_choice, NULL,
};

const struct flosim_selector_ops *selection_find(const char *name)
{
    for (size_t i = 0; selections[i]; i++)
        if (strcmp(selections[i]->name, name) == 0)
            return selections[i];
    return NULL;
}
