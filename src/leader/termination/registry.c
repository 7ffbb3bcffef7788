/* One row per member of this kind. */
#include <string.h>

#include "leader/strategies.h"

extern const struct flosim_termination_ops flosim_termination_max_rounds, flosim_termination_accuracy_target,
    flosim_termination_loss_threshold, flosim_termination_accuracy_plateau, flosim_termination_convergence,
    flosim_termination_wall_clock;

const struct flosim_termination_ops *const terminations[] = {
    &flosim_termination_max_rounds,
    &flosim_termination_accuracy_target,
    &flosim_termination_loss_threshold,
    &flosim_termination_accuracy_plateau,
    &flosim_termination_convergence,
    &flosim_termination_wall_clock,
    NULL,
};

const struct flosim_termination_ops *termination_find(const char *name)
{
    for (size_t i = 0; terminations[i]; i++)
        if (strcmp(terminations[i]->name, name) == 0)
            return terminations[i];
    return NULL;
}
